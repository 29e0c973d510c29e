#include <souk/runtime/offering_reader.hpp>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/record_proof.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr std::size_t page = 25, largest_page = 256 * 1024, largest_answer = 512 * 1024;

using teller = std::function<void(result<proved_offering>)>;

struct job {
    http::client& client;
    std::function<instant()> now;
    did_document author;
    teller tell;
};

http::call get(const std::string& url, std::size_t largest) {
    http::call c;
    c.url = url, c.within = 15s, c.largest_answer = largest;
    return c;
}

result<std::vector<stored_record>> records_of(const http::response& r, const std::string& did) {
    json_limits limits;
    limits.bytes = largest_page, limits.items = 20'000;
    const auto body = from_json(r.body, json_form::atproto, limits);
    if (r.status == 400 && body && (body->text("error") == "RepoNotFound" || body->text("error") == "RecordNotFound")) return std::vector<stored_record>();
    if (r.status != 200) return refusal{"record_unreachable", "its host answered " + std::to_string(r.status)};
    const auto* records = body ? body->find("records") : nullptr;
    const auto* all = records ? records->as<value::list>() : nullptr;
    if (!all || all->size() > page) return refusal{"bad_record", "the answer has no list of records in it"};
    std::vector<stored_record> out;
    for (const auto& one : *all) {
        const auto uri = at_uri::parse(one.text("uri"));
        const auto* record = one.find("value");
        if (!uri || uri->did != did || uri->collection != market::offering::nsid || !record) continue; // it lies, or means another: nothing to go by
        stored_record s;
        s.uri = *uri, s.value = *record, s.cid = cid_of(*record);
        out.push_back(std::move(s));
    }
    return out;
}

void prove(const std::shared_ptr<job>& j, const at_uri& uri) {
    const auto path = uri.collection + '/' + uri.rkey;
    const auto url = j->author.pds + "/xrpc/com.atproto.sync.getRecord?did=" + http::percent_encode(uri.did) + "&collection=" + uri.collection + "&rkey=" + http::percent_encode(uri.rkey);
    j->client.fetch(get(url, largest_answer), [j, uri, path](const result<http::response>& r) {
        if (!r) return j->tell(refusal{"record_unreachable", r.error().code + ": " + r.error().text});
        if (r->status != 200) return j->tell(refusal{"record_unreachable", "its host proves nothing: HTTP " + std::to_string(r->status)});
        std::vector<crypto::verifier> keys;
        for (const auto& key : j->author.signing)
            if (auto v = crypto::verifier::of(key)) keys.push_back(std::move(*v));
        auto proved = verify_record_proof(r->body, uri.did, path, keys);
        if (!proved) return j->tell(proved.error());
        proved_offering out{j->author.pds, proved->rev, {}};
        if (proved->found) {
            stored_record s;
            s.uri = uri, s.cid = proved->found->id, s.value = std::move(proved->found->record);
            out.newest = std::move(s);
        }
        j->tell(std::move(out));
    });
}

} // namespace

offering_reader make_offering_reader(identity_resolver& who, http::client& client, std::function<instant()> now) {
    return [&who, &client, now = std::move(now)](const std::string& did, teller tell) {
        who.resolve(did, [&client, now, did, tell = std::move(tell)](result<did_document> author) {
            if (!author) return tell(author.error());
            if (author->pds.empty()) return tell(proved_offering{});
            const auto j = std::make_shared<job>(job{client, now, std::move(*author), tell});
            const auto url = j->author.pds + "/xrpc/com.atproto.repo.listRecords?repo=" + http::percent_encode(did) + "&collection=" + std::string(market::offering::nsid) + "&limit=" + std::to_string(page);
            client.fetch(get(url, largest_page), [j, did](const result<http::response>& r) {
                if (!r) return j->tell(refusal{r.error().code == "http_too_large" ? "bad_record" : "record_unreachable", r.error().code + ": " + r.error().text});
                const auto all = records_of(*r, did);
                if (!all) return j->tell(all.error());
                const auto newest = offerings::newest_of(*all, j->now());
                if (!newest) return j->tell(proved_offering{j->author.pds, {}, {}});
                prove(j, newest->uri);
            });
        });
    };
}

} // namespace souk
