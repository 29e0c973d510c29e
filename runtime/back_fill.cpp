#include <souk/runtime/back_fill.hpp>

#include <souk/messages/json.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t usual_pages = 100, largest_page = 4 << 20;
constexpr auto look_every = 1s; // while somebody waits for his turn: the node's clock is not the one that threads wait by

// Of whom this is said nothing will ever be read.
bool for_good(const std::string& code) {
    return code == "record_not_found" || code == "bad_did" || code == "did_given_up";
}

} // namespace

back_fill::back_fill(http::client& web, record_network& net, options o, std::function<void(const stored_record&)> tell)
    : web_(web), net_(net), options_(std::move(o)), tell_(std::move(tell)), accounts_({options_.file, options_.how_far, most_accounts}, options_.now()) {
    worker_ = std::thread([this] { work(); });
}

back_fill::~back_fill() {
    gate_->now();
    worker_.join();
}

void back_fill::account(const std::string& did) {
    const std::lock_guard hold(gate_->guard);
    accounts_.add(did, options_.now());
    gate_->moved.notify_all();
}
void back_fill::everyone() {
    const std::lock_guard hold(gate_->guard);
    accounts_.add_everyone();
    gate_->moved.notify_all();
}
void back_fill::look() {
    const std::lock_guard hold(gate_->guard);
    gate_->moved.notify_all();
}
back_fill::counters back_fill::so_far() const {
    const std::lock_guard hold(gate_->guard);
    auto c = count_;
    const auto waiting = accounts_.so_far();
    c.waiting = waiting.waiting, c.failing = waiting.failing, c.given_up = waiting.given_up, c.passed_over = waiting.passed_over;
    return c;
}

void back_fill::work() {
    std::unique_lock hold(gate_->guard);
    while (!gate_->called) {
        const auto did = accounts_.take(options_.now());
        if (!did) {
            if (accounts_.next()) gate_->moved.wait_for(hold, look_every);
            else gate_->moved.wait(hold);
            continue;
        }
        hold.unlock();
        bool whole = true;
        if (did->empty()) list_accounts();
        else if (options_.found) options_.found(*did);
        else whole = read(*did);
        hold.lock();
        if (gate_->called) return; // what was not read to its end is read by the next run
        whole ? accounts_.read(*did) : accounts_.failed(*did, options_.now());
    }
}

void back_fill::list_accounts() {
    bool by_collection = true;
    for (const auto& one : options_.collections)
        by_collection = by_collection && list_accounts("collection=" + http::percent_encode(one) + "&limit=1000", "com.atproto.sync.listReposByCollection", usual_pages);
    if (!by_collection) list_accounts("limit=1000", "com.atproto.sync.listRepos", options_.pages_of_all);
}

// False: the host does not answer this.
bool back_fill::list_accounts(const std::string& query, const std::string& nsid, std::size_t most_pages) {
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

bool back_fill::read(const std::string& did) {
    const auto before = options_.now() - options_.how_far;
    const auto oldest = to_tid(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(before.time_since_epoch()).count()), 0);
    std::uint64_t told = 0;
    bool whole = true, hopeless = true;
    for (const auto& collection : options_.collections) {
        const auto said = http::answer_of<result<std::vector<stored_record>>>(gate_, [&](auto tell) { net_.list(did, collection, std::move(tell)); });
        if (!said) return false;
        if (!*said) {
            whole = false, hopeless = hopeless && for_good(said->error().code);
            continue;
        }
        auto& all = **said;
        for (auto r = all.rbegin(); r != all.rend(); ++r) { // oldest first, as a stream would have it
            if (gate_->was_called()) return false;
            if (is_tid(r->uri.rkey) && r->uri.rkey < oldest) continue;
            tell_(*r), ++told;
        }
    }
    const std::lock_guard hold(gate_->guard);
    ++count_.accounts, count_.records += told, count_.unread += !whole;
    return whole || hopeless;
}

} // namespace souk
