#include <souk/runtime/simulate/books.hpp>

#include <algorithm>

#include <souk/messages/dag_cbor.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

// -- a repository --------------------------------------------------------------------------------------------------------

void shelf::mount(life by) { by_ = std::move(by); }

void shelf::crash() {
    const auto kept = u_.strikes(hazard::torn_write, 900) ? u_.chance().between(0, static_cast<std::int64_t>(waiting_.size())) : 0;
    for (std::int64_t i = 0; i < kept; ++i)
        for (const auto& w : waiting_[static_cast<std::size_t>(i)].all) (void)now(w);
    waiting_.clear();
}

void shelf::apply(std::vector<record_write> all, written then) {
    const auto number = trap_.asked();
    if (const auto sprung = trap_.sprung(number, point::before)) return sprung();
    waiting_.push_back({std::move(all), std::move(then), number});
    if (waiting_.size() == 1) u_.later(by_, u_.chance().between(0ms, 4ms), [this] { write(); });
}

void shelf::write() {
    const bool full = u_.strikes(hazard::disk_full, 2);
    const auto by = by_;
    for (auto& j : std::exchange(waiting_, {})) {
        if (!*by) return; // killed in the middle
        std::vector<result<stored_record>> said;
        for (const auto& w : j.all) {
            if (full) said.push_back(refusal{"disk_full", "there is no room left"});
            else if (w.how == record_write::kind::remove) said.push_back((void(remove(w.collection, w.rkey)), stored_record{}));
            else said.push_back(now(w));
        }
        if (const auto sprung = trap_.sprung(j.number, point::durable)) return sprung();
        j.then(std::move(said));
        if (const auto sprung = trap_.sprung(j.number, point::heard)) u_.later(0ms, sprung);
    }
}

result<stored_record> shelf::now(const record_write& w) {
    if (w.how == record_write::kind::remove) {
        (void)remove(w.collection, w.rkey);
        return stored_record{};
    }
    const auto time = std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(u_.now().time_since_epoch()).count(), last_us_ + 1);
    const auto rkey = w.rkey.empty() ? to_tid(static_cast<std::uint64_t>(time), 0) : w.rkey;
    stored_record r;
    r.uri = {did_, w.collection, rkey}, r.value = w.what, r.cid = cid_of(w.what), r.time_us = time;
    if (const auto there = get(w.collection, rkey)) {
        if (there->cid == r.cid) return *there;
        if (w.how == record_write::kind::create) return refusal{"record_exists", "another record is kept as " + r.uri.text()};
        by_time_.erase(there->time_us), r.updated = true;
    }
    last_us_ = time;
    by_time_[time] = {w.collection, rkey};
    all_[w.collection].insert_or_assign(rkey, r);
    if (published) published(r);
    return r;
}

result<void> shelf::remove(const std::string& collection, const std::string& rkey) {
    if (const auto there = get(collection, rkey)) by_time_.erase(there->time_us), all_[collection].erase(rkey);
    return {};
}

std::optional<stored_record> shelf::get(const std::string& collection, const std::string& rkey) const {
    const auto kind = all_.find(collection);
    if (kind == all_.end()) return std::nullopt;
    const auto found = kind->second.find(rkey);
    return found == kind->second.end() ? std::nullopt : std::optional(found->second);
}

std::vector<stored_record> shelf::list(const std::string& collection, std::size_t most, const std::string& cursor, bool oldest_first) const {
    std::vector<stored_record> found;
    const auto kind = all_.find(collection);
    if (kind == all_.end()) return found;
    for (const auto& [rkey, r] : kind->second)
        if (cursor.empty() || (oldest_first ? rkey > cursor : rkey < cursor)) found.push_back(r);
    if (!oldest_first) std::reverse(found.begin(), found.end());
    if (found.size() > most) found.resize(most);
    return found;
}

std::optional<stored_record> shelf::newest(const std::string& collection) const {
    for (auto at = by_time_.rbegin(); at != by_time_.rend(); ++at)
        if (at->second.first == collection) return get(collection, at->second.second);
    return std::nullopt;
}

std::vector<stored_record> shelf::since(std::int64_t cursor, std::size_t most, std::size_t) const { // all fit
    std::vector<stored_record> found;
    for (auto at = by_time_.upper_bound(cursor); at != by_time_.end() && found.size() < most; ++at)
        found.push_back(all_.at(at->second.first).at(at->second.second));
    return found;
}

std::size_t shelf::count(const std::string& collection) const {
    const auto kind = all_.find(collection);
    return kind == all_.end() ? 0 : kind->second.size();
}

// -- reading others --------------------------------------------------------------------------------------------------------

person& books::add(std::string name, did_document document, shelf& records) {
    const auto did = document.did;
    auto& p = people_[did];
    p = {did, std::move(name), std::move(document), &records, {}, {}};
    records.published = [this, did](const stored_record& r) { publish(did, r); };
    return p;
}

person* books::find(const std::string& did) {
    const auto found = people_.find(did);
    return found == people_.end() ? nullptr : &found->second;
}

person* books::at(const std::string& host) {
    for (auto& [did, p] : people_)
        if (p.host == host) return &p;
    return nullptr;
}

bool books::reach(const std::string& a, const std::string& b) const {
    if (a == b) return true;
    const auto away = [&](const std::string& did) {
        const auto found = away_.find(did);
        return found != away_.end() && found->second > u_.now();
    };
    return !away(a) && !away(b);
}

class books::view final : public record_network {
public:
    view(books& b, std::string did, life by) : b_(b), u_(b.u_), did_(std::move(did)), by_(std::move(by)) {}

    void fetch(const strong_ref& ref, std::function<void(result<stored_record>)> tell) override {
        const auto uri = at_uri::parse(ref.uri);
        if (!uri) return tell(uri.error());
        ask(uri->did, std::move(tell), [ref, uri = *uri](person& p) -> result<stored_record> {
            auto found = p.records->get(uri.collection, uri.rkey);
            if (!found) return refusal{"record_not_found", "there is no " + ref.uri};
            if (found->cid.text() != ref.cid) return refusal{"cid_mismatch", ref.uri + " has another content"};
            return std::move(*found);
        });
    }
    void list(const std::string& did, const std::string& collection, std::function<void(result<std::vector<stored_record>>)> tell) override {
        ask(did, std::move(tell), [collection](person& p) -> result<std::vector<stored_record>> { return p.records->list(collection, 1000, "", false); });
    }
    void keys(const std::string& did, std::function<void(result<did_document>)> tell) override {
        ask(did, std::move(tell), [](person& p) -> result<did_document> { return p.document; }, "did_unresolved");
    }

private:
    template <class Tell, class Read>
    void ask(const std::string& did, Tell tell, Read read, const char* code = "record_unreachable") {
        if (!*by_) return;
        auto* p = b_.find(did);
        // One's own records and one's own keys are here.
        const auto takes = did == did_ ? 1ms : u_.chance().between(2ms, 80ms);
        if (did == did_) return u_.later(by_, takes, [p, tell, read] { tell(read(*p)); });
        const auto lost = [this, tell, code, did] { u_.later(by_, 10'000ms, [tell, code, did] { tell(refusal{code, did + " cannot be reached"}); }); };
        if (!p || !b_.reach(did_, did) || u_.strikes(hazard::drop, 15)) return lost();
        b_.ways_.carry(by_, takes, "read", false, [p, tell, read] { tell(read(*p)); }, lost);
    }

    books& b_;
    universe& u_;
    std::string did_;
    life by_;
};

std::unique_ptr<record_network> books::seen_by(std::string did, life by) { return std::make_unique<view>(*this, std::move(did), std::move(by)); }

namespace {

// As the real door splits a target.
void read_query(http::request& r) {
    auto rest = std::string_view(r.target);
    for (auto at = rest.find('?'); at != rest.npos; at = rest.find('&')) {
        rest.remove_prefix(at + 1);
        const auto one = rest.substr(0, rest.find('&'));
        const auto is = one.find('=');
        const auto text = http::percent_decode(is == one.npos ? std::string_view() : one.substr(is + 1));
        r.query.emplace_back(one.substr(0, is), text ? *text : std::string());
    }
}

} // namespace

http::fetcher books::web_of(std::string did, life by) {
    return [this, did = std::move(did), by = std::move(by)](http::call c, std::function<void(result<http::response>)> tell) {
        if (!*by) return;
        const auto begin = c.url.find("://") + 3, slash = c.url.find('/', begin);
        auto* p = at(c.url.substr(begin, slash - begin));
        http::request r;
        r.method = c.method, r.target = c.url.substr(slash), r.path = r.target.substr(0, r.target.find('?')), r.head = c.head, r.body = c.body;
        read_query(r);
        const auto timed_out = [this, by, tell, within = c.within] { u_.later(by, within, [tell] { tell(refusal{"http_timeout", "no answer in time"}); }); };
        if (!p || !reach(did, p->did)) return timed_out();
        if (u_.strikes(hazard::drop, 20)) return timed_out();
        const bool answer_lost = u_.strikes(hazard::drop, 20);
        const auto heard = std::make_shared<bool>(false); // an answer, or the end of waiting, whichever comes first
        u_.later(by, c.within, [heard, tell] {
            if (!std::exchange(*heard, true)) tell(refusal{"http_timeout", "no answer in time"});
        });
        auto there = u_.chance().between(5ms, 60ms);
        if (u_.strikes(hazard::delay, 20)) there = u_.chance().between(1'000ms, 90'000ms);
        const bool repeats = c.method == "GET"; // it may be sent again by whoever carries it
        const int times = repeats && u_.strikes(hazard::duplicate, 30) ? 2 : 1;
        for (int i = 0; i < times; ++i)
            ways_.carry(there * (i + 1), "request", repeats, [this, by, p, r, heard, tell, answer_lost] {
                if (!p->door) return u_.later(by, 5ms, [heard, tell] {
                    if (!std::exchange(*heard, true)) tell(refusal{"http_unreachable", "nothing listens there"});
                });
                const auto number = ++requests_;
                p->asking[number] = [this, by, heard, tell] {
                    u_.later(by, 5ms, [heard, tell] {
                        if (!std::exchange(*heard, true)) tell(refusal{"http_broken", "the connection broke"});
                    });
                };
                p->door(r, [this, open = open_, by, heard, tell, answer_lost, p, number](http::response answer) {
                    if (!*open || p->asking.erase(number) == 0 || answer_lost) return;
                    ways_.carry(by, u_.chance().between(5ms, 60ms), "answer", false, [heard, tell, answer = std::move(answer)] {
                        if (!std::exchange(*heard, true)) tell(answer);
                    }, [] {});
                });
            }, [] {});
    };
}

void books::hang_up(const std::string& did) {
    auto* p = find(did);
    if (!p) return;
    p->door = nullptr;
    for (const auto& [number, broke] : std::exchange(p->asking, {})) broke();
}

// -- streams -----------------------------------------------------------------------------------------------------------------

void books::watch(const std::string& author, std::set<std::string> collections, std::int64_t& cursor, life by, std::function<void(const record_note&)> tell) {
    std::erase_if(streams_, [](const auto& s) { return !*s->by; });
    const auto s = std::make_shared<stream>(stream{author, std::move(collections), &cursor, std::move(by), std::move(tell), 0, {}});
    streams_.push_back(s);
    connect(s);
}

void books::connect(const std::shared_ptr<stream>& s) {
    auto* p = find(s->author);
    if (!p || !p->door) return u_.later(s->by, u_.chance().between(500ms, 5'000ms), [this, s] { connect(s); });
    s->connection = ++connections_;
    s->last = u_.now();
    auto from = *s->cursor - 1'000'000;
    if (u_.strikes(hazard::rewind, 200)) from -= u_.chance().between(0, 1'200'000'000);
    for (const auto& r : p->records->since(from, 10'000)) send(s, r);
}

void books::lose(const std::shared_ptr<stream>& s) {
    s->connection = 0;
    u_.later(s->by, u_.chance().between(500ms, 30'000ms), [this, s] { connect(s); });
}

void books::publish(const std::string& author, const stored_record& r) {
    if (overheard) overheard(r);
    for (const auto& s : std::vector(streams_)) {
        if (s->author != author || s->connection == 0 || !*s->by) continue;
        if (u_.strikes(hazard::drop, 15)) lose(s);
        else send(s, r);
    }
}

void books::send(const std::shared_ptr<stream>& s, const stored_record& r) {
    if (!s->collections.count(r.uri.collection)) return;
    s->last = std::max(s->last, u_.now() + u_.chance().between(1ms, 80ms));
    auto note = record_note{r.uri.text(), r.cid.text(), encode_dag_cbor(r.value)};
    const int times = u_.strikes(hazard::duplicate, 30) ? 2 : 1;
    if (u_.strikes(hazard::forgery, 30)) { // the same name with a content of somebody else's making, its CID to match, unsigned by the author
        auto forged = r.value;
        (*forged.as<value::map>())["createdAt"] = "2026-01-01T00:00:00.000Z";
        const auto bytes = encode_dag_cbor(forged);
        const record_note lie{r.uri.text(), cid::of_dag_cbor(bytes).text(), bytes};
        u_.later(s->by, s->last - u_.now(), [s, lie] { s->tell(lie); });
    }
    for (int i = 0; i < times; ++i)
        ways_.carry(s->by, s->last - u_.now(), "note", true, [s, note, connection = s->connection, time = r.time_us] {
            if (s->connection != connection) return; // it broke meanwhile: read again after the cursor
            s->tell(note);
            *s->cursor = std::max(*s->cursor, time);
        }, [this, s] { lose(s); });
}

} // namespace souk::simulate
