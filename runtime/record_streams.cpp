#include <souk/runtime/record_streams.hpp>

#include <algorithm>

#include <spdlog/spdlog.h>

#include <souk/actors/policy/association.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/market_records.hpp>

namespace souk {

using namespace std::chrono_literals;

record_streams::record_streams(record_streams_options o, http::client_options web_options, http::client& web, identity_resolver& identities, record_network& network, note_feed& feed, followed_hosts* followed)
    : options_(std::move(o)), web_options_(std::move(web_options)), web_(web), identities_(identities), network_(network), feed_(feed), followed_(followed) {}
record_streams::~record_streams() { end(); }

void record_streams::start() {
    const auto stream_state = [name = options_.name](const std::string& host) {
        return [host, name](bool up, const std::string& why) { spdlog::info("{}: stream of {} is {}{}{}", name, host, up ? "up" : "down", why.empty() ? "" : ": ", why); };
    };
    const std::lock_guard hold(guard_);
    started_ = true;
    for (const auto& host : options_.watch) {
        auto cursor = std::make_shared<cursor_file>(options_.directory / ("cursor-" + file_name_of(host)));
        // A host that is watched for the first time may have published just before: what is recent is read, twice does no harm.
        if (cursor->at() == 0) cursor->move(std::chrono::duration_cast<std::chrono::microseconds>((options_.now() - 10min).time_since_epoch()).count());
        watches_.push_back(std::make_unique<record_watch>(web_options_, record_watch::options{host, options_.wanted, cursor->at()},
                                                          [this, cursor](const stored_record& r) { follow(r, cursor); }, stream_state(host)));
    }
    for (const auto& host : options_.relays) read_commits(host, true);
    if (followed_)
        for (const auto& host : followed_->all()) read_commits(host, false);
    if (options_.sellers) look_for_sellers();
}

void record_streams::end() {
    std::unique_lock hold(guard_);
    ending_ = true;
    auto watches = std::move(watches_);
    auto fills = std::move(fills_), lists = std::move(lists_);
    auto relays = std::move(relays_);
    watches_.clear(), relays_.clear(), fills_.clear(), lists_.clear(), relay_hosts_.clear();
    hold.unlock();
    watches.clear();
    relays.clear(); // before those that they ask
}

value::list record_streams::relays() const {
    value::list all;
    const std::lock_guard hold(guard_);
    for (std::size_t i = 0; i < relays_.size(); ++i) {
        const auto n = relays_[i]->so_far();
        const auto f = fills_[i]->so_far();
        value::map one{{"host", relay_hosts_[i]}, {"frames", n.frames}, {"commits", n.commits}, {"refused", n.refused}, {"unresolved", n.unresolved}, {"repeated", n.repeated},
                       {"read", f.accounts}, {"unread", f.unread}, {"waiting", f.waiting}, {"failing", f.failing}, {"given_up", f.given_up}, {"passed_over", f.passed_over}};
        all.emplace_back(std::move(one));
    }
    return all;
}

void record_streams::follow_too(const std::string& host) {
    const std::lock_guard hold(guard_);
    if (!started_ || ending_) return; // it is kept, and followed as soon as this node follows anybody
    spdlog::info("{}: {} asked to be followed, and is", options_.name, host);
    read_commits(host, false);
    if (options_.sellers) list_sellers_of(host);
}

// -- each with `guard_` held ---------------------------------------------------------------------------------------------------

// `asks`: whether it is asked to read ours; one that asked us is not, or two of us would ask each other for ever.
void record_streams::read_commits(const std::string& host, bool asks) {
    auto cursor = std::make_shared<cursor_file>(options_.directory / ("frames-" + file_name_of(host)));
    if (cursor->at() == 0) cursor->move(1); // all that the host still has
    sync_watch::events e;
    e.record = [this, cursor](const stored_record& r) { follow(r, cursor); };
    e.passed = [cursor](std::int64_t seq) {
        if (cursor->taken == cursor->told) cursor->move(seq); // else it moves when those before are taken up
    };
    fills_.push_back(std::make_unique<back_fill>(web_, network_, back_fill::options{host, options_.wanted, 24h, options_.now, options_.directory / ("unread-" + file_name_of(host))},
                                                 [this](const stored_record& r) { hand_over(r, [] {}); }));
    e.gap = [host, name = options_.name, fill = fills_.back().get()] {
        spdlog::warn("{}: {} has forgotten what came before; the repositories of those whom it knows are read", name, host);
        fill->everyone();
    };
    e.missed = [fill = fills_.back().get()](const std::string& did) { fill->account(did); };
    e.state = [this, host, asks](bool up, const std::string& why) {
        spdlog::info("{}: stream of {} is {}{}{}", options_.name, host, up ? "up" : "down", why.empty() ? "" : ": ", why);
        if (up && asks) ask_to_crawl(host);
    };
    relays_.push_back(std::make_unique<sync_watch>(web_options_, sync_watch::options{host, options_.wanted, cursor->at()}, identities_, std::move(e)));
    relay_hosts_.push_back(host);
}

// Whoever the hosts that are followed have an offering of: at the start, and again and again, for a stream tells only what is new.
void record_streams::look_for_sellers() {
    auto hosts = options_.watch;
    hosts.insert(hosts.end(), options_.relays.begin(), options_.relays.end());
    std::sort(hosts.begin(), hosts.end());
    hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
    if (followed_)
        for (auto& host : followed_->all()) hosts.push_back(std::move(host));
    for (const auto& at : hosts) list_sellers_of(at);
    looked_ = std::chrono::steady_clock::now();
}
void record_streams::list_sellers_of(const std::string& host) {
    const std::string collection(market::offering::nsid);
    back_fill::options o{host, {collection}, 24h, options_.now};
    o.pages_of_all = 1; // a small host's accounts are all looked at; a large one's stream and relays tell
    o.found = [this, collection](const std::string& did) { feed_.push({"at://" + did + '/' + collection + "/self", "", {}}, [] {}); };
    lists_.push_back(std::make_unique<back_fill>(web_, network_, std::move(o), [](const stored_record&) {}));
    lists_.back()->everyone();
}
void record_streams::look_again() {
    const std::lock_guard hold(guard_);
    if (lists_.empty() || std::chrono::steady_clock::now() - looked_ < options_.look_every) return;
    looked_ = std::chrono::steady_clock::now();
    for (const auto& one : lists_) one->everyone();
}

// -- what they tell ------------------------------------------------------------------------------------------------------------

// A market's record that is gone is nothing to act upon: what was signed stays signed. A vouch that is gone is one less, and so is an offering.
void record_streams::follow(const stored_record& r, const std::shared_ptr<cursor_file>& cursor) {
    const bool opinion = r.uri.collection == vouch::nsid || r.uri.collection == policy::association_nsid || r.uri.collection == market::offering::nsid;
    if (r.removed && !opinion) return;
    ++cursor->told;
    hand_over(r, [cursor, at = r.time_us] { ++cursor->taken, cursor->move(at); });
}
void record_streams::hand_over(const stored_record& r, std::function<void()> taken) {
    feed_.push({r.uri.text(), r.removed ? "" : r.cid.text(), r.removed ? "" : encode_dag_cbor(r.value)}, std::move(taken));
}

// com.atproto.sync.requestCrawl: a relay may read our commits then; one that is none, or does not want to, is no harm.
void record_streams::ask_to_crawl(const std::string& host) {
    if (options_.own_host.empty()) return;
    http::call c;
    c.method = "POST", c.url = host + "/xrpc/com.atproto.sync.requestCrawl", c.body = to_json(value::map{{"hostname", options_.own_host}});
    c.head.set("Content-Type", "application/json");
    web_.fetch(std::move(c), [host, name = options_.name](const result<http::response>& r) {
        if (r && r->status == 200) spdlog::info("{}: {} was asked to read our records", name, host);
    });
}

} // namespace souk
