#include <souk/runtime/back_fill.hpp>

#include <optional>

#include <souk/messages/json.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_pages = 100, largest_page = 4 << 20;

} // namespace

back_fill::back_fill(http::client& web, record_network& net, options o, std::function<void(const stored_record&)> tell)
    : web_(web), net_(net), options_(std::move(o)), tell_(std::move(tell)) {
    worker_ = std::thread([this] { work(); });
}

back_fill::~back_fill() {
    gate_->now();
    worker_.join();
}

void back_fill::account(const std::string& did) {
    const std::lock_guard hold(gate_->guard);
    if (known_.contains(did)) return;
    if (waiting_.size() >= most_accounts) return void(++count_.passed_over);
    known_.insert(did), waiting_.push_back(did);
    gate_->moved.notify_all();
}
void back_fill::everyone() {
    const std::lock_guard hold(gate_->guard);
    everyone_ = true;
    gate_->moved.notify_all();
}
back_fill::counters back_fill::so_far() const {
    const std::lock_guard hold(gate_->guard);
    return count_;
}

void back_fill::work() {
    for (;;) {
        std::string did;
        {
            std::unique_lock hold(gate_->guard);
            gate_->moved.wait(hold, [this] { return gate_->called || everyone_ || !waiting_.empty(); });
            if (gate_->called) return;
            if (!std::exchange(everyone_, false)) did = std::move(waiting_.front()), waiting_.pop_front(), known_.erase(did);
        }
        if (did.empty()) list_accounts();
        else read(did);
    }
}

void back_fill::list_accounts() {
    bool by_collection = true;
    for (const auto& one : options_.collections)
        by_collection = by_collection && list_accounts("collection=" + http::percent_encode(one) + "&limit=1000", "com.atproto.sync.listReposByCollection");
    if (!by_collection) list_accounts("limit=1000", "com.atproto.sync.listRepos");
}

// False: the host does not answer this.
bool back_fill::list_accounts(const std::string& query, const std::string& nsid) {
    std::string cursor;
    for (std::size_t pages = 0; pages < most_pages; ++pages) {
        http::call c;
        c.url = options_.host + "/xrpc/" + nsid + '?' + query + (cursor.empty() ? "" : "&cursor=" + http::percent_encode(cursor));
        c.within = 15s, c.largest_answer = largest_page;
        const auto said = http::answer_of<result<http::response>>(gate_, [&](auto tell) { web_.fetch(std::move(c), std::move(tell)); });
        if (!said || !*said || (*said)->status != 200) return false;
        json_limits limits;
        limits.bytes = largest_page;
        const auto body = from_json((*said)->body, json_form::plain, limits);
        const auto* repos = body ? body->find("repos") : nullptr;
        const auto* all = repos ? repos->as<value::list>() : nullptr;
        if (!all) return false;
        for (const auto& one : *all)
            if (const std::string did(one.text("did")); is_did(did)) account(did);
        const std::string next(body->text("cursor"));
        if (all->empty() || next.empty() || next == cursor) return true;
        cursor = next;
    }
    return true;
}

void back_fill::read(const std::string& did) {
    const auto before = options_.now() - options_.how_far;
    const auto oldest = to_tid(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(before.time_since_epoch()).count()), 0);
    std::uint64_t told = 0;
    bool whole = true;
    for (const auto& collection : options_.collections) {
        const auto said = http::answer_of<result<std::vector<stored_record>>>(gate_, [&](auto tell) { net_.list(did, collection, std::move(tell)); });
        if (!said) return;
        if (!*said) {
            whole = false;
            continue;
        }
        auto& all = **said;
        for (auto r = all.rbegin(); r != all.rend(); ++r) { // oldest first, as a stream would have it
            if (gate_->was_called()) return;
            if (is_tid(r->uri.rkey) && r->uri.rkey < oldest) continue;
            tell_(*r), ++told;
        }
    }
    const std::lock_guard hold(gate_->guard);
    ++count_.accounts, count_.records += told, count_.unread += !whole;
}

} // namespace souk
