#include <souk/backends/records/network.hpp>

#include <atomic>
#include <deque>
#include <unordered_set>

#include <souk/backends/records/frame.hpp>
#include <souk/backends/records/prover.hpp>
#include <souk/messages/json.hpp>

namespace souk {

using namespace internal;

namespace {

constexpr std::size_t page = 100, most_listed = 1'000, largest_page = 16 << 20;
constexpr std::chrono::seconds fetch_within{15};

using record_teller = std::function<void(result<stored_record>)>;
using list_teller = std::function<void(result<std::vector<stored_record>>)>;

std::string query(std::initializer_list<std::pair<const char*, std::string_view>> parts) {
    std::string out;
    for (const auto& [name, text] : parts) (((out += out.empty() ? '?' : '&') += name) += '=') += http::percent_encode(text);
    return out;
}

result<value> body_of(const result<http::response>& r, std::size_t largest) {
    if (!r) return refusal{"record_unreachable", r.error().code + ": " + r.error().text};
    json_limits limits;
    limits.bytes = largest, limits.items = 1'000'000;
    if (r->status == 200) {
        auto body = from_json(r->body, json_form::atproto, limits);
        if (!body) return refusal{"bad_record", body.error().code + ": " + body.error().text};
        return body;
    }
    const auto error = from_json(r->body, json_form::plain);
    const auto code = error ? error->text("error") : std::string_view();
    if (r->status == 400 && (code == "RecordNotFound" || code == "RepoNotFound"))
        return refusal{"record_not_found", "its host does not have it"};
    return refusal{"record_unreachable", "its host answered " + std::to_string(r->status) + ' ' + std::string(code.substr(0, 100))};
}

class network final : public record_network {
public:
    network(repository& own, identity_resolver& who, http::client& client, const std::filesystem::path& directory)
        : own_(own), who_(who), client_(client), prover_(std::make_shared<prover>(who, client, directory, now)) {}
    ~network() override { prover_->close(); }

    void fetch(const strong_ref& ref, record_teller tell) override {
        const auto uri = at_uri::parse(ref.uri);
        if (!uri) return tell(uri.error());
        const auto wanted = cid::parse(ref.cid);
        if (!wanted) return tell(wanted.error());
        if (uri->did == own_.did()) return tell(own_record(*uri, *wanted));
        who_.resolve(uri->did, [&client = client_, uri = *uri, wanted = *wanted,
                                tell = std::move(tell)](result<did_document> author) {
            if (!author) return tell(author.error());
            if (author->pds.empty()) return tell(refusal{"record_not_found", uri.did + " has no record host"});
            http::call c;
            c.url = author->pds + "/xrpc/com.atproto.repo.getRecord" +
                    query({{"repo", uri.did}, {"collection", uri.collection}, {"rkey", uri.rkey}, {"cid", wanted.text()}});
            c.within = fetch_within, c.largest_answer = largest_record_json;
            client.fetch(std::move(c), [uri, wanted, tell](result<http::response> r) { tell(read_record(r, uri, wanted)); });
        });
    }
    void list(const std::string& did, const std::string& collection, list_teller tell) override {
        list(did, collection, {}, std::move(tell));
    }
    void list_proven(const std::string& did, const std::string& collection, list_teller tell) override {
        list(did, collection, prover_, std::move(tell));
    }
    void keys(const std::string& did, std::function<void(result<did_document>)> tell) override {
        who_.resolve(did, std::move(tell));
    }

private:
    struct listing {
        http::client& client;
        did_document author;
        std::string did, collection;
        std::vector<stored_record> found;
        std::shared_ptr<prover> proves; // none: its host's word is enough
        list_teller tell;
        void done() { proves ? proves->prove(author, collection, std::move(found), tell) : tell(std::move(found)); }
    };
    static instant now() { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

    void list(const std::string& did, const std::string& collection, std::shared_ptr<prover> proves, list_teller tell) {
        if (!is_nsid(collection)) return tell(refusal{"bad_record", "not the name of a collection"});
        if (did == own_.did()) {
            if (!own_.current()) return tell(refusal{"record_unreachable", "the own account's host does not answer"});
            return tell(own_.list(collection, most_listed));
        }
        who_.resolve(did, [&client = client_, did, collection, proves = std::move(proves), tell = std::move(tell)](result<did_document> author) {
            if (!author) return tell(author.error());
            if (author->pds.empty()) return tell(std::vector<stored_record>());
            next_page(std::make_shared<listing>(listing{client, std::move(*author), did, collection, {}, proves, tell}), {});
        });
    }

    result<stored_record> own_record(const at_uri& uri, const cid& wanted) const {
        auto found = own_.get(uri.collection, uri.rkey);
        if (!found) return refusal{"record_not_found", "there is no " + uri.text()};
        if (found->cid != wanted) return refusal{"cid_mismatch", uri.text() + " is another record now"};
        return std::move(*found);
    }
    static result<stored_record> read_record(const result<http::response>& r, const at_uri& uri, const cid& wanted) {
        const auto body = body_of(r, largest_record_json);
        if (!body) return body.error();
        auto found = from_entry(*body, uri.did, uri.collection);
        if (!found) return found.error();
        if (found->uri != uri) return refusal{"bad_record", "the answer is about another record"};
        if (found->cid != wanted) return refusal{"cid_mismatch", "the host answered with another record than the reference means"};
        return found;
    }
    static void next_page(const std::shared_ptr<listing>& job, const std::string& cursor) {
        http::call c;
        c.url = job->author.pds + "/xrpc/com.atproto.repo.listRecords" +
                query({{"repo", job->did}, {"collection", job->collection}, {"limit", std::to_string(page)}});
        if (!cursor.empty()) c.url += "&cursor=" + http::percent_encode(cursor);
        c.within = fetch_within, c.largest_answer = largest_page;
        job->client.fetch(std::move(c), [job, cursor](result<http::response> r) {
            const auto body = body_of(r, largest_page);
            if (!body) return job->tell(body.error());
            const auto* records = body->find("records");
            const auto* all = records ? records->as<value::list>() : nullptr;
            if (!all || all->size() > page) return job->tell(refusal{"bad_record", "the answer has no list of records in it"});
            for (const auto& one : *all) {
                auto found = from_entry(one, job->did, job->collection);
                if (!found) return job->tell(found.error());
                job->found.push_back(std::move(*found));
            }
            const auto next = std::string(body->text("cursor"));
            if (all->empty() || next.empty() || next == cursor || job->found.size() >= most_listed)
                return job->done();
            next_page(job, next);
        });
    }

    repository& own_;
    identity_resolver& who_;
    http::client& client_;
    const std::shared_ptr<prover> prover_;
};

} // namespace

std::unique_ptr<record_network> make_record_network(repository& own, identity_resolver& who, http::client& client, const std::filesystem::path& directory) {
    return std::make_unique<network>(own, who, client, directory);
}

// -- watching ---------------------------------------------------------------------------------------------------------

class record_watch::impl {
public:
    impl(http::client_options client, options o, std::function<void(const stored_record&)> tell,
         std::function<void(bool, std::string)> state)
        : options_(std::move(o)),
          tell_(std::move(tell)),
          last_us_(options_.cursor),
          stream_(std::move(client),
                  {[this] { return url(); }, [this](std::string text) { take(text); },
                   [this, state = std::move(state)](bool up, std::string why) {
                       if (up && last_us_ == 0)
                           last_us_ = now_us() - clock_slack_us; // a break before the first record leaves no gap
                       if (state) state(up, std::move(why));
                   }},
                  largest_record_json) {}
    std::uint64_t refused() const { return refused_; }

private:
    static constexpr std::int64_t overlap_us = 1'000'000; // asked for again after a break: hosts do not all send strictly in order
    static constexpr std::int64_t clock_slack_us = 5'000'000;
    static constexpr std::size_t most_remembered = 65'536;

    static std::int64_t now_us() {
        return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    }
    std::string url() const {
        auto url = options_.host;
        while (url.ends_with('/')) url.pop_back();
        if (url.starts_with("http")) url.replace(0, 4, "ws"); // https to wss
        url += "/subscribe";
        char mark = '?';
        for (const auto& one : options_.collections)
            url += std::exchange(mark, '&') + ("wantedCollections=" + http::percent_encode(one));
        if (last_us_ > 0) url += mark + ("cursor=" + std::to_string(std::max<std::int64_t>(1, last_us_ - overlap_us)));
        return url;
    }
    void take(const std::string& text) {
        auto frame = from_frame(text);
        if (!frame) {
            ++refused_;
            return;
        }
        if (!*frame) return;
        const auto& r = **frame;
        if (!wanted(r.uri.collection)) {
            ++refused_;
            return;
        }
        if (!first_time(r)) return;
        last_us_ = std::max(last_us_, r.time_us);
        tell_(r);
    }
    bool wanted(const std::string& collection) const {
        return options_.collections.empty() ||
               std::find(options_.collections.begin(), options_.collections.end(), collection) != options_.collections.end();
    }
    // What came within the overlap is remembered, since it comes again after a break.
    bool first_time(const stored_record& r) {
        auto key = std::to_string(r.time_us) + r.uri.text() + r.cid.text();
        if (!seen_.insert(key).second) return false;
        order_.emplace_back(r.time_us, std::move(key));
        while (order_.size() > most_remembered || order_.front().first < last_us_ - 2 * overlap_us) {
            seen_.erase(order_.front().second);
            order_.pop_front();
            if (order_.empty()) break;
        }
        return true;
    }

    const options options_;
    const std::function<void(const stored_record&)> tell_;
    std::int64_t last_us_; // these three on the stream's thread only
    std::unordered_set<std::string> seen_;
    std::deque<std::pair<std::int64_t, std::string>> order_;
    std::atomic<std::uint64_t> refused_{0};
    http::stream_client stream_; // last: it calls the others
};

record_watch::record_watch(http::client_options client, options o, std::function<void(const stored_record&)> tell,
                           std::function<void(bool, std::string)> state)
    : impl_(std::make_unique<impl>(std::move(client), std::move(o), std::move(tell), std::move(state))) {}
record_watch::~record_watch() = default;
std::uint64_t record_watch::refused() const { return impl_->refused(); }

} // namespace souk
