// The routes that serve a repository (network.hpp).
#include <charconv>
#include <mutex>

#include <souk/backends/records/frames.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/backends/records/sync_door.hpp>
#include <souk/messages/json.hpp>

namespace souk {

using namespace internal;

namespace {

constexpr std::int64_t usual_page = 50, largest_page = 100, read_at_once = 10;
constexpr std::size_t enough_page_bytes = 4 << 20, most_wanted = 100;
// Of a stream, in bytes that the reader has not taken yet: what is live is held for all readers together, a page of a replay for one perhaps.
constexpr std::size_t pause_above = 512 * 1024, page_bytes = 32 * 1024;
constexpr std::size_t read_for_replay = 32, looked_at_in_a_turn = 256; // records: a replay that nothing is wanted of must not hold up the door

http::response invalid(std::string why) { return http::error_response(400, {"InvalidRequest", std::move(why)}); }
http::response json(const value& v) { return http::json_response(200, to_json(v, json_form::atproto)); }

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size() || n < 0) return std::nullopt;
    return n;
}

bool is_ours(const repository_door& door, std::string_view repo) {
    if (repo == door.own.did()) return true;
    const auto handles = door.document().handles;
    return std::find(handles.begin(), handles.end(), repo) != handles.end();
}

http::response get_record(const repository_door& door, const http::request& r) {
    const std::string collection(r.param("collection")), rkey(r.param("rkey"));
    if (!is_ours(door, r.param("repo"))) return invalid("Could not find repo: " + std::string(r.param("repo").substr(0, 200)));
    if (!is_nsid(collection) || !is_record_key(rkey)) return invalid("collection and rkey are needed");
    const auto wanted = r.param("cid");
    const auto found = door.own.get(collection, rkey);
    if (!found || (!wanted.empty() && found->cid.text() != wanted))
        return http::error_response(
            400, {"RecordNotFound", "Could not locate record: at://" + door.own.did() + '/' + collection + '/' + rkey});
    return json(to_entry(*found));
}

http::response list_records(const repository_door& door, const http::request& r) {
    const std::string collection(r.param("collection")), cursor(r.param("cursor"));
    if (!is_ours(door, r.param("repo"))) return invalid("Could not find repo: " + std::string(r.param("repo").substr(0, 200)));
    if (!is_nsid(collection)) return invalid("collection is needed");
    if (!cursor.empty() && !is_record_key(cursor)) return invalid("not a cursor of this list");
    const auto limit = r.param("limit").empty() ? std::optional<std::int64_t>(usual_page) : number(r.param("limit"));
    if (!limit || *limit < 1 || *limit > largest_page) return invalid("limit is 1 to 100");
    const bool reverse = r.param("reverse") == "true";
    std::string records, last = cursor;
    bool more = true;
    for (std::int64_t count = 0; more && count < *limit;) { // few at a time: a hundred records of 1 MiB would be too much at once
        const auto page = door.own.list(collection, static_cast<std::size_t>(std::min(read_at_once, *limit - count)), last, reverse);
        more = !page.empty();
        for (const auto& one : page) {
            if (count++) records += ',';
            records += to_json(to_entry(one), json_form::atproto);
            last = one.uri.rkey;
        }
        if (records.size() >= enough_page_bytes) break;
    }
    return http::json_response(200, (more ? "{\"cursor\":\"" + last + "\",\"records\":[" : "{\"records\":[") + records + "]}");
}

http::response describe_repo(const repository_door& door, const http::request& r) {
    if (!is_ours(door, r.param("repo"))) return invalid("Could not find repo: " + std::string(r.param("repo").substr(0, 200)));
    const auto document = door.document();
    value::list collections;
    for (const auto& one : door.own.collections()) collections.emplace_back(one);
    return json(value::map{{"did", door.own.did()},
                           {"handle", document.handles.empty() ? std::string("handle.invalid") : document.handles.front()},
                           {"handleIsCorrect", !document.handles.empty()},
                           {"didDoc", to_json_document(document)},
                           {"collections", std::move(collections)}});
}

// The ways to ask for a log: "/log", "/log/last", and "/log/audit" where it is kept as one.
std::optional<value> log_as(const value& kept, std::string_view which) {
    const auto* all = kept.as<value::list>();
    if (!all || all->empty()) return std::nullopt;
    const bool audit = all->front().find("operation") != nullptr;
    if (which == "/log/audit" && audit) return kept;
    if (which != "/log" && which != "/log/last") return std::nullopt;
    value::list counting;
    for (const auto& e : *all) {
        const auto* nullified = audit ? e.find("nullified") : nullptr;
        if (nullified && nullified->as<bool>() && *nullified->as<bool>()) continue;
        counting.push_back(audit ? *e.find("operation") : e);
    }
    if (which == "/log/last") return counting.back();
    return value(std::move(counting));
}

// One reader of the stream. Either it replays from the repository, as fast as it reads, or it is live: told by the writer.
class subscriber : public std::enable_shared_from_this<subscriber> {
public:
    subscriber(repository& own, std::shared_ptr<frame_shelf> frames, std::shared_ptr<http::stream> to, std::vector<std::string> wanted, std::int64_t cursor)
        : own_(own), frames_(std::move(frames)), to_(std::move(to)), wanted_(std::move(wanted)), last_us_(cursor), live_(cursor == 0) {}

    void start() { // a replay begins when the stream is open: `drained` says so
        auto ear = own_.listen([weak = weak_from_this()](const stored_record& r) {
            if (const auto self = weak.lock()) self->written(r);
        });
        const std::lock_guard hold(guard_);
        ear_ = std::move(ear);
    }
    // Sends until the reader has a page to take, or until nothing is left: then it is live. A record is in the repository before the
    // writer tells of it, and the telling waits for this lock, so none falls in between.
    void go_on() {
        const std::lock_guard hold(guard_);
        for (std::size_t looked_at = 0; !live_ && ear_ && to_->queued() < page_bytes;) {
            if (looked_at >= looked_at_in_a_turn) return to_->again();
            const auto batch = own_.since(last_us_, read_for_replay, page_bytes);
            live_ = batch.empty(), looked_at += batch.size();
            for (auto r = batch.begin(); r != batch.end() && to_->queued() < page_bytes; ++r) send(*r);
        }
    }
    void stop() {
        std::shared_ptr<void> ear;
        const std::lock_guard hold(guard_);
        ear.swap(ear_); // dropped after the lock: it waits for a call that waits for the lock
    }

private:
    void written(const stored_record& r) {
        const std::lock_guard hold(guard_);
        if (!live_ || !ear_ || r.time_us <= last_us_) return;
        send(r);
        if (to_->queued() >= pause_above) live_ = false; // `drained` goes on from the repository
    }
    void send(const stored_record& r) {
        last_us_ = r.time_us;
        if (wants(r.uri.collection)) to_->send(frames_->of(r));
    }
    bool wants(std::string_view collection) const {
        return wanted_.empty() || std::any_of(wanted_.begin(), wanted_.end(), [&](std::string_view w) {
            return w.ends_with(".*") ? collection.starts_with(w.substr(0, w.size() - 1)) : collection == w;
        });
    }

    repository& own_;
    const std::shared_ptr<frame_shelf> frames_;
    const std::shared_ptr<http::stream> to_;
    const std::vector<std::string> wanted_;
    std::mutex guard_;
    std::int64_t last_us_;
    bool live_;
    std::shared_ptr<void> ear_;
};

} // namespace

std::shared_ptr<frame_shelf> internal::make_frame_shelf() { return std::make_shared<frame_shelf>(); }

std::optional<http::response> repository_door::answer(const http::request& r) const {
    if (r.method != "GET" && r.method != "HEAD") return std::nullopt;
    if (r.path == "/xrpc/com.atproto.repo.getRecord") return get_record(*this, r);
    if (r.path == "/xrpc/com.atproto.repo.listRecords") return list_records(*this, r);
    if (r.path == "/xrpc/com.atproto.repo.describeRepo") return describe_repo(*this, r);
    if (commits)
        if (auto said = answer_sync(own, r)) return said;
    if (r.path == "/.well-known/did.json") return json(to_json_document(document()));
    if (r.path == "/.well-known/atproto-did") return http::response{200, {{{"Content-Type", "text/plain"}}}, own.did()};
    if (!plc_log.is_null()) // as a PLC directory has them
        if (const auto path = http::percent_decode(r.path); path && path->starts_with('/' + own.did())) {
            const auto rest = path->substr(own.did().size() + 1);
            if (rest.empty()) return json(to_json_document(document()));
            if (auto log = log_as(plc_log, rest)) return json(*log);
        }
    return std::nullopt;
}

std::optional<std::variant<http::stream_handler, http::response>> repository_door::upgrade(const http::request& r,
                                                                                           std::shared_ptr<http::stream> to) const {
    using answer = std::variant<http::stream_handler, http::response>;
    if (commits)
        if (auto taken = upgrade_sync(own, r, to)) return taken;
    if (r.path != "/subscribe") return std::nullopt;
    std::vector<std::string> wanted;
    for (const auto& [key, text] : r.query) {
        if (key != "wantedCollections") continue;
        const auto name = text.ends_with(".*") ? text.substr(0, text.size() - 2) + ".any" : text;
        if (!is_nsid(name) || wanted.size() == most_wanted)
            return answer(invalid("wantedCollections: at most 100 names of collections"));
        wanted.push_back(text);
    }
    const auto cursor = r.param("cursor").empty() ? std::optional<std::int64_t>(0) : number(r.param("cursor"));
    if (!cursor) return answer(invalid("cursor is a time in microseconds"));
    const auto reader = std::make_shared<subscriber>(own, frames, std::move(to), std::move(wanted), *cursor);
    reader->start();
    return answer(http::stream_handler{[](std::string) {}, [reader] { reader->stop(); }, [reader] { reader->go_on(); }});
}

} // namespace souk
