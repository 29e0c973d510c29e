// The routes of com.atproto.sync (network.hpp): what relays and other hosts read of a repository.
#include <algorithm>
#include <charconv>
#include <mutex>

#include <souk/backends/records/sync_door.hpp>
#include <souk/messages/car.hpp>
#include <souk/messages/firehose.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/time.hpp>

namespace souk::internal {

namespace {

constexpr const char* car_type = "application/vnd.ipld.car";
constexpr std::size_t most_blocks = 500, most_block_bytes = 8 << 20;
// Of a stream: read for one reader at a time, and what he may have before him.
constexpr std::size_t read_at_once = 64, page_bytes = 256 * 1024;

http::response invalid(std::string why) { return http::error_response(400, {"InvalidRequest", std::move(why)}); }
http::response json(const value& v) { return http::json_response(200, to_json(v, json_form::atproto)); }
http::response car_response(std::string body) { return {200, {{{"Content-Type", car_type}}}, std::move(body), {}}; }
http::response of_disk(const refusal& r) { return http::error_response(r.code == "not_now" ? 503 : 500, r); }

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size() || n < 0) return std::nullopt;
    return n;
}

http::response get_repo(const synced_repository& own, const http::request& r) {
    const std::string since(r.param("since"));
    if (!since.empty() && !is_tid(since)) return invalid("since is a revision");
    auto pieces = own.export_car(since);
    if (!pieces) return of_disk(pieces.error());
    auto answer = car_response({});
    answer.more = std::move(*pieces);
    return answer;
}

http::response get_record(const synced_repository& own, const http::request& r) {
    const std::string collection(r.param("collection")), rkey(r.param("rkey"));
    if (!is_nsid(collection) || !is_record_key(rkey)) return invalid("collection and rkey are needed");
    auto proof = own.prove(collection, rkey); // of its absence too
    return proof ? car_response(std::move(*proof)) : of_disk(proof.error());
}

http::response get_blocks(const synced_repository& own, const http::request& r) {
    std::vector<cid> wanted;
    for (const auto& [key, text] : r.query) {
        if (key != "cids") continue;
        auto c = cid::parse(text);
        if (!c) return invalid("cids: " + c.error().text);
        if (wanted.size() == most_blocks) return invalid("at most " + std::to_string(most_blocks) + " blocks at once");
        wanted.push_back(std::move(*c));
    }
    if (wanted.empty()) return invalid("cids are needed");
    const auto found = own.blocks(wanted);
    if (found.size() < wanted.size()) return http::error_response(400, {"BlockNotFound", "not all of these blocks are here"});
    auto out = car_header({});
    for (const auto& [id, bytes] : found) {
        append_car_block(out, id, bytes);
        if (out.size() > most_block_bytes) return invalid("so many bytes are not given at once: ask for fewer blocks");
    }
    return car_response(std::move(out));
}

http::response list_repos(const synced_repository& own, const http::request& r) {
    value::list all;
    if (r.param("cursor").empty()) {
        const auto head = own.head();
        all.push_back(value::map{{"did", own.did()}, {"head", head.commit.text()}, {"rev", head.rev}, {"active", true}});
    }
    return json(value::map{{"repos", std::move(all)}});
}

http::response list_by_collection(const synced_repository& own, const http::request& r) {
    const std::string collection(r.param("collection"));
    if (!is_nsid(collection)) return invalid("collection is needed");
    value::list all;
    if (r.param("cursor").empty() && !own.list(collection, 1).empty()) all.push_back(value::map{{"did", own.did()}});
    return json(value::map{{"repos", std::move(all)}});
}

// One reader of the frames, at its own pace: all come out of the repository, where the writer's call says that there are more.
class frame_reader : public std::enable_shared_from_this<frame_reader> {
public:
    frame_reader(const synced_repository& own, std::shared_ptr<http::stream> to, std::int64_t after) : own_(own), to_(std::move(to)), last_(after) {}

    void start(synced_repository& own) {
        auto ear = own.listen_frames([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->to_->again();
        });
        const std::lock_guard hold(guard_);
        ear_ = std::move(ear);
    }
    void go_on() {
        const std::lock_guard hold(guard_);
        while (ear_ && to_->queued() < page_bytes && last_ < own_.last_frame()) {
            const auto some = own_.frames(last_, read_at_once, page_bytes);
            if (some.empty()) return;
            for (const auto& f : some) to_->send(f.bytes), last_ = f.seq;
        }
    }
    void stop() {
        std::shared_ptr<void> ear;
        const std::lock_guard hold(guard_);
        ear.swap(ear_);
    }

private:
    const synced_repository& own_;
    const std::shared_ptr<http::stream> to_;
    std::mutex guard_;
    std::int64_t last_;
    std::shared_ptr<void> ear_;
};

http::stream_handler only_this(std::shared_ptr<http::stream> to, const firehose::event& last) {
    to->send(*firehose::encode(last));
    to->close("the cursor is from the future");
    return {.message = [](std::string) {}, .closed = [to] {}, .drained = {}, .binary = true};
}

} // namespace

std::optional<http::response> answer_sync(const synced_repository& own, const http::request& r) {
    constexpr std::string_view prefix = "/xrpc/com.atproto.sync.";
    if (!r.path.starts_with(prefix)) return std::nullopt;
    const auto method = std::string_view(r.path).substr(prefix.size());
    if (method == "listRepos") return list_repos(own, r);
    if (method == "listReposByCollection") return list_by_collection(own, r);
    constexpr std::array known{"getRepo", "getRecord", "getBlocks", "getLatestCommit", "getRepoStatus", "getHead"};
    if (std::find(known.begin(), known.end(), method) == known.end()) return std::nullopt;
    if (r.param("did") != own.did()) return http::error_response(400, {"RepoNotFound", "Could not find repo for DID: " + std::string(r.param("did").substr(0, 200))});
    if (method == "getRepo") return get_repo(own, r);
    if (method == "getRecord") return get_record(own, r);
    if (method == "getBlocks") return get_blocks(own, r);
    const auto head = own.head();
    if (method == "getLatestCommit") return json(value::map{{"cid", head.commit.text()}, {"rev", head.rev}});
    if (method == "getHead") return json(value::map{{"root", head.commit.text()}});
    return json(value::map{{"did", own.did()}, {"active", true}, {"rev", head.rev}});
}

std::optional<std::variant<http::stream_handler, http::response>> upgrade_sync(synced_repository& own, const http::request& r, std::shared_ptr<http::stream> to) {
    using answer = std::variant<http::stream_handler, http::response>;
    if (r.path != "/xrpc/com.atproto.sync.subscribeRepos") return std::nullopt;
    const auto last = own.last_frame();
    const auto cursor = r.param("cursor").empty() ? std::optional(last) : number(r.param("cursor"));
    if (!cursor) return answer(invalid("cursor is a number"));
    if (*cursor > last) return answer(only_this(std::move(to), firehose::error_event{"FutureCursor", "the stream is at " + std::to_string(last)}));
    if (const auto oldest = own.oldest_frame(); oldest > *cursor + 1)
        to->send(*firehose::encode(firehose::info_event{"OutdatedCursor", "what is before " + std::to_string(oldest) + " is no longer kept"}));
    const auto reader = std::make_shared<frame_reader>(own, std::move(to), *cursor);
    reader->start(own);
    return answer(http::stream_handler{.message = [](std::string) {}, .closed = [reader] { reader->stop(); }, .drained = [reader] { reader->go_on(); }, .binary = true});
}

} // namespace souk::internal
