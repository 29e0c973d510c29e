#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <souk/backends/records/network.hpp>
#include <souk/messages/firehose.hpp>

namespace souk {

namespace {

constexpr std::size_t most_waiting_bytes = 32 << 20; // of commits whose author is being looked up, or that nobody has taken yet
constexpr std::size_t most_waiting_of_one = 256;
constexpr std::size_t most_known = 50'000; // accounts whose last revision is remembered

std::vector<crypto::verifier> verifiers(const did_document& d) {
    std::vector<crypto::verifier> all;
    for (const auto& key : d.signing)
        if (auto v = crypto::verifier::of(key)) all.push_back(std::move(*v));
    return all;
}

// The last revision of each account, the longest unheard forgotten first.
class revisions {
public:
    bool is_new(const std::string& did, const std::string& rev) const {
        const auto at = all_.find(did);
        return at == all_.end() || at->second->second < rev;
    }
    void note(const std::string& did, std::string rev) {
        if (const auto at = all_.find(did); at != all_.end()) order_.erase(at->second);
        order_.emplace_front(did, std::move(rev));
        all_[did] = order_.begin();
        if (all_.size() > most_known) all_.erase(order_.back().first), order_.pop_back();
    }

private:
    std::list<std::pair<std::string, std::string>> order_;
    std::map<std::string, std::list<std::pair<std::string, std::string>>::iterator> all_;
};

} // namespace

// Two threads: the stream's takes frames in, its own verifies and tells. Answers of the resolver come on a third.
class sync_watch::impl : public std::enable_shared_from_this<sync_watch::impl> {
public:
    impl(options o, identity_resolver& who, events e) : options_(std::move(o)), wanted_(options_.collections), who_(who), events_(std::move(e)), cursor_(options_.cursor) {}

    void start(http::client_options client) {
        worker_ = std::thread([this] { work(); });
        stream_.emplace(std::move(client),
                        http::stream_client::events{[this] { return url(); }, [this](std::string frame) { take(std::move(frame)); },
                                                    [this](bool up, std::string why) {
                                                        if (events_.state) events_.state(up, std::move(why));
                                                    }},
                        firehose::largest_frame);
    }
    void stop() {
        {
            const std::lock_guard hold(guard_);
            stopped_ = true;
        }
        moved_.notify_all();
        stream_.reset();
        worker_.join();
    }
    counters so_far() const {
        const std::lock_guard hold(guard_);
        return count_;
    }

private:
    static std::size_t cost(const firehose::commit_event& c) { return c.blocks.size() + 1'024; } // an empty one costs, too
    struct waiting {
        std::deque<firehose::commit_event> commits;
        std::optional<result<did_document>> author; // none: being asked for
        bool asked_again = false;
    };

    std::string url() const {
        auto url = options_.host;
        while (url.ends_with('/')) url.pop_back();
        if (url.starts_with("http")) url.replace(0, 4, "ws"); // https to wss
        url += "/xrpc/com.atproto.sync.subscribeRepos";
        const std::lock_guard hold(guard_);
        if (cursor_ > 0) url += "?cursor=" + std::to_string(cursor_);
        return url;
    }

    // -- the stream's thread ----------------------------------------------------------------------------------------------------

    void take(std::string frame) {
        const auto seen = firehose::glance(frame, wanted_);
        std::unique_lock hold(guard_);
        ++count_.frames;
        if (!seen) {
            ++count_.refused;
            return;
        }
        if (!seen->worth) return pass(seen->seq);
        hold.unlock();
        auto event = firehose::decode(frame);
        if (!event) return refuse(seen->seq);
        if (auto* c = std::get_if<firehose::commit_event>(&*event)) return take(std::move(*c));
        if (const auto* i = std::get_if<firehose::identity_event>(&*event)) who_.forget(i->did);
        if (const auto* s = std::get_if<firehose::sync_event>(&*event); s && events_.missed) events_.missed(s->did);
        if (const auto* e = std::get_if<firehose::error_event>(&*event)) return start_over(e->error == "FutureCursor");
        if (const auto* i = std::get_if<firehose::info_event>(&*event); i && i->name == "OutdatedCursor" && events_.gap) events_.gap();
        hold.lock();
        pass(seen->seq);
    }
    void take(firehose::commit_event c) {
        std::unique_lock hold(guard_);
        ++count_.commits;
        moved_.wait(hold, [this] { return stopped_ || bytes_ < most_waiting_bytes; }); // the rest waits in its connection
        if (stopped_) return;
        const auto did = c.repo;
        const auto seq = c.seq;
        auto& all = by_author_[did];
        if (all.commits.size() >= most_waiting_of_one) {
            ++count_.unresolved;
            hold.unlock();
            if (events_.missed) events_.missed(did); // before the cursor is past it
            hold.lock();
            return pass(seq);
        }
        under_way_.insert(seq), bytes_ += cost(c);
        const bool first = all.commits.empty() && !all.author;
        all.commits.push_back(std::move(c));
        if (!first) {
            if (all.author) ready_.push_back(did), moved_.notify_all();
            return;
        }
        hold.unlock();
        ask(did);
    }
    void ask(const std::string& did) {
        who_.resolve(did, [weak = weak_from_this(), did](result<did_document> found) {
            if (const auto self = weak.lock()) self->found(did, std::move(found));
        });
    }
    void found(const std::string& did, result<did_document> author) {
        const std::lock_guard hold(guard_);
        const auto at = by_author_.find(did);
        if (at == by_author_.end()) return;
        at->second.author = std::move(author);
        ready_.push_back(did);
        moved_.notify_all();
    }
    void refuse(std::int64_t seq) {
        const std::lock_guard hold(guard_);
        ++count_.refused;
        pass(seq);
    }
    // The host does not know our place, as one that lost its own: it is begun anew from what it has.
    void start_over(bool future) {
        {
            const std::lock_guard hold(guard_);
            if (future) cursor_ = 0;
        }
        if (future && events_.gap) events_.gap();
    }
    // With the guard held. The cursor is before the first that is under way.
    void pass(std::int64_t seq) {
        if (seq > 0) reached_ = seq;
        const auto upto = under_way_.empty() ? reached_ : *under_way_.begin() - 1;
        if (upto <= cursor_ && !(under_way_.empty() && reached_ < cursor_)) return; // lower: the host counts anew
        cursor_ = upto;
        if (events_.passed && ++since_told_ >= told_every) since_told_ = 0, passed_ = upto, moved_.notify_all();
    }

    // -- its own thread ---------------------------------------------------------------------------------------------------------

    void work() {
        std::unique_lock hold(guard_);
        for (;;) {
            moved_.wait(hold, [this] { return stopped_ || !ready_.empty() || passed_; });
            if (stopped_) return;
            if (const auto upto = std::exchange(passed_, std::nullopt)) {
                hold.unlock();
                events_.passed(*upto);
                hold.lock();
                continue;
            }
            const auto did = std::move(ready_.front());
            ready_.pop_front();
            const auto at = by_author_.find(did);
            if (at == by_author_.end()) continue;
            if (at->second.commits.empty() || !at->second.author) {
                if (at->second.commits.empty()) by_author_.erase(at);
                continue;
            }
            auto c = std::move(at->second.commits.front());
            at->second.commits.pop_front();
            const auto author = *at->second.author;
            hold.unlock();
            const bool again = !tell(c, author);
            hold.lock();
            auto& mine = by_author_[did]; // nobody else drops it while its commits are taken one by one
            if (again && !mine.asked_again) { // a key that is not known yet, perhaps: the document is looked at once more
                mine.asked_again = true, mine.author.reset();
                mine.commits.push_front(std::move(c));
                hold.unlock();
                who_.forget(did);
                ask(did);
                hold.lock();
                continue;
            }
            if (again) ++count_.refused;
            under_way_.erase(c.seq), bytes_ -= cost(c);
            pass(0);
            moved_.notify_all();
            if (mine.commits.empty()) by_author_.erase(did);
            else ready_.push_back(did);
        }
    }
    // False: not believed, for a signature by none of the author's keys.
    bool tell(const firehose::commit_event& c, const result<did_document>& author) {
        if (!author) {
            if (events_.missed) events_.missed(c.repo); // before the cursor is past it
            return note([](counters& n) { ++n.unresolved; });
        }
        if (!revisions_.is_new(c.repo, c.rev)) return note([](counters& n) { ++n.repeated; });
        const auto keys = verifiers(*author);
        firehose::verify_options how;
        how.need_prev_data = false, how.only = &wanted_;
        auto said = firehose::verify(c, keys, how);
        if (!said && (said.error().code == "bad_signature" || said.error().code == "no_keys")) return false;
        if (!said) return note([](counters& n) { ++n.refused; });
        revisions_.note(c.repo, c.rev);
        for (auto& o : said->ops) {
            if (!wanted_.has_path(o.what.path)) continue;
            const auto slash = o.what.path.find('/');
            stored_record r;
            r.uri = {c.repo, o.what.path.substr(0, slash), o.what.path.substr(slash + 1)};
            r.cid = o.what.id, r.value = std::move(o.record), r.time_us = c.seq;
            r.updated = o.what.action == firehose::op_action::update, r.removed = o.what.action == firehose::op_action::remove;
            events_.record(r);
        }
        return true;
    }
    template <class F>
    bool note(F change) {
        const std::lock_guard hold(guard_);
        change(count_);
        return true;
    }

    static constexpr unsigned told_every = 64; // frames that were nothing to tell
    const options options_;
    const firehose::wanted wanted_;
    identity_resolver& who_;
    const events events_;
    revisions revisions_; // its own thread's

    mutable std::mutex guard_; // over what follows
    std::condition_variable moved_;
    std::map<std::string, waiting> by_author_;
    std::deque<std::string> ready_;
    std::set<std::int64_t> under_way_;
    std::size_t bytes_ = 0;
    std::int64_t cursor_ = 0, reached_ = 0;
    std::optional<std::int64_t> passed_;
    unsigned since_told_ = 0;
    counters count_;
    bool stopped_ = false;

    std::thread worker_;
    std::optional<http::stream_client> stream_;
};

sync_watch::sync_watch(http::client_options client, options o, identity_resolver& who, events e) : impl_(std::make_shared<impl>(std::move(o), who, std::move(e))) {
    impl_->start(std::move(client));
}
sync_watch::~sync_watch() { impl_->stop(); }
sync_watch::counters sync_watch::so_far() const { return impl_->so_far(); }

} // namespace souk
