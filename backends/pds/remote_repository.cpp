#include <souk/backends/pds/remote_repository.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <set>
#include <thread>

#include <souk/backends/records/frame.hpp>

namespace souk::pds {

namespace {

using namespace std::chrono_literals;
using how = record_write::kind;

constexpr std::size_t most_at_once = 100, most_bytes_at_once = 512 * 1024; // hosts take 200 writes in one commit
constexpr std::size_t page = 100, most_listed = 10'000, largest_page = 16 << 20, most_waiting_units = 10'000;
constexpr int most_overtaken = 5; // by others' writes, before one of ours is given up
constexpr auto longest_pause = 60'000ms;

std::string joined(std::initializer_list<std::pair<const char*, std::string_view>> parts) {
    std::string out;
    for (const auto& [name, text] : parts) ((out += out.empty() ? "" : "&") += name) += '=' + http::percent_encode(text);
    return out;
}

// The account's host does not do anything for this account now: as good as unreachable, whatever the write is.
bool is_away(const reply& r) {
    for (const std::string_view name : {"AccountTakedown", "AccountDeactivated", "RepoTakendown", "RepoDeactivated", "RepoNotFound", "UpstreamFailure", "NotEnoughResources"})
        if (r.error == name) return true;
    return false;
}
refusal away(const reply& r) { return {"pds_unreachable", r.error + (r.message.empty() ? "" : ": " + r.message)}; }
refusal refused(const reply& r) { return {"pds_refused", "the account's host refuses: " + r.error + (r.message.empty() ? "" : ", " + r.message)}; }

struct unit { // what one call of `apply` asked for
    unit(std::vector<record_write> all, repository::written tell, std::shared_ptr<std::promise<void>> durable)
        : writes(std::move(all)), then(std::move(tell)), said(writes.size()), open(writes.size()), kept(std::move(durable)) {}

    std::vector<record_write> writes;
    const repository::written then;

    // `then` is called without a lock held, by whoever brings the last answer.
    void settle(std::size_t at, result<stored_record> r) {
        std::vector<result<stored_record>> all;
        {
            const std::lock_guard hold(guard);
            said[at] = std::move(r);
            if (--open > 0) return;
            for (auto& one : said) all.push_back(std::move(*one));
        }
        durable();
        then(std::move(all));
    }
    void durable() {
        const std::lock_guard hold(guard);
        if (kept) std::exchange(kept, nullptr)->set_value();
    }

private:
    std::mutex guard;
    std::vector<std::optional<result<stored_record>>> said;
    std::size_t open;
    std::shared_ptr<std::promise<void>> kept; // told when it is on the disk; may be empty
};

} // namespace

class remote final : public remote_repository {
public:
    remote(std::unique_ptr<synced_repository> copy, std::unique_ptr<outbox> out, std::unique_ptr<session> host, remote_options o)
        : options_(std::move(o)), copy_(std::move(copy)), outbox_(std::move(out)), host_(std::move(host)), did_(copy_->did()) {
        unsure_up_to_ = outbox_->last_id(); // a run before this one may have sent them
        clerk_ = std::thread([this] { keep_until_stopped(); });
        sender_ = std::thread([this] { send_until_stopped(); });
    }
    ~remote() override { close(); }
    void close() override {
        {
            const std::lock_guard hold(guard_);
            if (std::exchange(stopped_, true)) return;
        }
        moved_.notify_all();
        host_->stop();
        clerk_.join(), sender_.join();
        for (auto& [id, p] : std::exchange(waiting_, {})) p.of->settle(p.at, refusal{"pds_stopped", "this node stops; it is published when it runs again"});
    }

    const std::string& did() const override { return did_; }
    result<stored_record> create(const std::string& collection, const std::string& rkey, const value& what) override {
        return wait_for({how::create, collection, rkey, what});
    }
    result<stored_record> put(const std::string& collection, const std::string& rkey, const value& what) override {
        return wait_for({how::put, collection, rkey, what});
    }
    result<void> remove(const std::string& collection, const std::string& rkey) override {
        if (auto gone = wait_for({how::remove, collection, rkey, {}}); !gone) return gone.error();
        return {};
    }
    void apply(std::vector<record_write> all, written then) override { hand_in(std::move(all), std::move(then), nullptr); }

    std::optional<stored_record> get(const std::string& collection, const std::string& rkey) const override { return copy_->get(collection, rkey); }
    std::vector<stored_record> list(const std::string& collection, std::size_t most, const std::string& cursor, bool oldest_first) const override {
        return copy_->list(collection, most, cursor, oldest_first);
    }
    std::optional<stored_record> newest(const std::string& collection) const override { return copy_->newest(collection); }
    std::vector<std::string> collections() const override { return copy_->collections(); }
    std::vector<stored_record> since(std::int64_t cursor, std::size_t most, std::size_t bytes) const override { return copy_->since(cursor, most, bytes); }
    std::shared_ptr<void> listen(listener tell) override { return copy_->listen(std::move(tell)); }
    bool current() const override {
        const auto heard = heard_.load();
        return heard != instant{} && options_.now() - heard < options_.current_for;
    }
    synced_repository& copy() override { return *copy_; }
    bool wait_until_current(std::chrono::milliseconds within) override {
        std::unique_lock hold(guard_);
        return moved_.wait_for(hold, within, [this] { return current() || stopped_; }) && current();
    }
    remote_state state() const override {
        const std::lock_guard hold(guard_);
        auto s = state_;
        s.waiting = outbox_->size();
        return s;
    }

private:
    struct place { // in a unit
        std::shared_ptr<unit> of;
        std::size_t at;
    };

    // -- what comes in -----------------------------------------------------------------------------------------------------------
    void hand_in(std::vector<record_write> all, written then, std::shared_ptr<std::promise<void>> kept) {
        if (all.empty()) return then({});
        auto u = std::make_shared<unit>(std::move(all), std::move(then), std::move(kept));
        bool open = true;
        {
            const std::lock_guard hold(guard_);
            open = !stopped_;
            if (open && queue_.size() < most_waiting_units) {
                queue_.push_back(std::move(u));
                moved_.notify_all();
                return;
            }
        }
        for (std::size_t i = 0; i < u->writes.size(); ++i) u->settle(i, open ? refusal{"outbox_full", "too much waits for the account's host already"} : refusal{"pds_stopped", "this node stops"});
    }
    result<stored_record> wait_for(record_write what) {
        const auto said = std::make_shared<std::promise<result<stored_record>>>();
        const auto kept = std::make_shared<std::promise<void>>();
        auto answer = said->get_future();
        auto durable = kept->get_future();
        std::vector<record_write> one;
        one.push_back(std::move(what));
        hand_in(std::move(one), [said](std::vector<result<stored_record>> r) { said->set_value(std::move(r.front())); }, kept);
        if (answer.wait_for(options_.patience) == std::future_status::ready) return answer.get();
        if (durable.wait_for(0s) != std::future_status::ready) return refusal{"not_now", "the disk does not take it"};
        return refusal{"record_pending", "it is kept here, and published when " + did_ + "'s host answers again"};
    }
    // All that came while the disk was busy goes to it together.
    void keep_until_stopped() {
        for (;;) {
            std::vector<std::shared_ptr<unit>> batch;
            {
                std::unique_lock hold(guard_);
                moved_.wait(hold, [this] { return stopped_ || !queue_.empty(); });
                if (queue_.empty()) return; // what was handed in is kept first
                batch.assign(queue_.begin(), queue_.end());
                queue_.clear();
            }
            std::vector<record_write> writes;
            std::vector<place> places;
            for (const auto& u : batch)
                for (std::size_t i = 0; i < u->writes.size(); ++i) {
                    auto& w = u->writes[i];
                    if (w.rkey.empty()) w.rkey = to_tid(next_us(), clock_id_); // here and now: the same one however often it is sent
                    if (auto checked = check_write(w, options_.record_bytes); !checked) u->settle(i, checked.error());
                    else writes.push_back(w), places.push_back({u, i});
                }
            if (writes.empty()) continue;
            const auto ids = keep(writes, places);
            for (const auto& p : places)
                if (ids) p.of->durable();
                else p.of->settle(p.at, ids.error());
            const std::lock_guard hold(guard_);
            moved_.notify_all();
        }
    }
    result<void> keep(const std::vector<record_write>& writes, const std::vector<place>& places) {
        const std::lock_guard hold(waiting_guard_); // else one could be sent and answered before it is known for whom
        const auto ids = outbox_->add(writes);
        if (!ids) return ids.error();
        for (std::size_t i = 0; i < places.size(); ++i) waiting_.emplace((*ids)[i], places[i]);
        return {};
    }
    std::uint64_t next_us() {
        const auto now = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
        return last_us_ = std::max(now, last_us_ + 1);
    }

    // -- what goes out -----------------------------------------------------------------------------------------------------------
    void send_until_stopped() {
        auto next_look = std::chrono::steady_clock::now();
        std::chrono::milliseconds pause{0};
        for (;;) {
            {
                std::unique_lock hold(guard_);
                const auto due = pause > 0ms ? std::chrono::steady_clock::now() + pause : next_look;
                moved_.wait_until(hold, due, [&] { return stopped_ || (pause == 0ms && outbox_->size() > 0); });
                if (stopped_) return;
            }
            auto done = result<void>{};
            try {
                if (head_.empty() || std::chrono::steady_clock::now() >= next_look) {
                    done = look();
                    if (done) next_look = std::chrono::steady_clock::now() + options_.look_every;
                }
                if (done && outbox_->size() > 0) done = send();
            } catch (const std::exception& e) { // the disk, here
                done = refusal{"disk_error", e.what()};
            }
            if (done) pause = 0ms, heard_ = options_.now();
            else {
                pause = std::clamp(pause * 2, options_.first_pause, longest_pause);
                if (done.error().code == "pds_paused") // the host says until when
                    pause = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(host_->paused_until() - options_.now()), options_.first_pause, std::chrono::milliseconds(3600s));
            }
            show(done);
        }
    }
    void show(const result<void>& done) {
        {
            const std::lock_guard hold(guard_);
            moved_.notify_all();
            const bool same = shown_ && state_.up == static_cast<bool>(done);
            shown_ = true, state_.up = static_cast<bool>(done), state_.why = done ? "" : done.error().code + ": " + done.error().text;
            if (same) return;
        }
        if (options_.state) options_.state(static_cast<bool>(done), done ? "" : done.error().code + ": " + done.error().text);
    }

    // What stands first goes out: new records together, all else one at a time. A refusal means: not now.
    result<void> send() {
        auto all = outbox_->first(alone_ ? 1 : most_at_once, most_bytes_at_once);
        std::vector<waiting_write> batch;
        std::set<std::string> names;
        for (auto& w : all) {
            if (w.id <= unsure_up_to_ && !asked_.contains(w.id)) { // it may be there
                if (!batch.empty()) break;
                if (const auto known = ask_after(w); !known) return known;
                asked_.insert(w.id);
            }
            if (w.what.how == how::create)
                if (auto there = copy_->get(w.what.collection, w.what.rkey)) {
                    if (!batch.empty()) break; // answers in order
                    settle_now(w, there->cid == w.cid ? result<stored_record>(std::move(*there))
                                                      : refusal{"record_exists", "another record is kept as " + there->uri.text()});
                    return {};
                }
            if (w.what.how != how::create && !batch.empty()) break;
            if (!names.insert(w.what.collection + '/' + w.what.rkey).second) break;
            batch.push_back(std::move(w));
            if (batch.back().what.how != how::create) break;
        }
        return write(batch);
    }

    value swap() const { return head_; }
    request asking_for(const std::vector<waiting_write>& batch) const {
        const auto& w = batch.front().what;
        value::map body{{"repo", did_}, {"validate", false}, {"swapCommit", swap()}};
        if (batch.size() > 1) {
            value::list writes;
            for (const auto& one : batch)
                writes.push_back(value::map{{"$type", "com.atproto.repo.applyWrites#create"}, {"collection", one.what.collection}, {"rkey", one.what.rkey}, {"value", one.what.what}});
            body.emplace("writes", std::move(writes));
            return {"com.atproto.repo.applyWrites", {}, value(std::move(body)), largest_page};
        }
        body.emplace("collection", w.collection), body.emplace("rkey", w.rkey);
        const auto there = w.how == how::create ? std::nullopt : copy_->get(w.collection, w.rkey);
        if (w.how == how::remove) {
            body.erase("validate");
            if (there) body.emplace("swapRecord", there->cid.text());
            return {"com.atproto.repo.deleteRecord", {}, value(std::move(body)), 1 << 20};
        }
        body.emplace("record", w.what);
        if (w.how == how::put) body.emplace("swapRecord", there ? value(there->cid.text()) : value(null_t{}));
        return {w.how == how::put ? "com.atproto.repo.putRecord" : "com.atproto.repo.createRecord", {}, value(std::move(body)), 1 << 20};
    }

    result<void> write(const std::vector<waiting_write>& batch) {
        const auto said = host_->call(asking_for(batch));
        if (!said) {
            if (said.error().code == "pds_unknown") {
                unsure_up_to_ = std::max(unsure_up_to_, batch.back().id);
                for (const auto& w : batch) asked_.erase(w.id);
            }
            return said.error();
        }
        if (said->well()) return written(batch, *said);
        if (is_away(*said)) return away(*said);
        if (said->error == "InvalidSwap") { // somebody else wrote: what they did is read first
            count(&remote_state::conflicts);
            if (++overtaken_ <= most_overtaken) return look();
            overtaken_ = 0;
            for (const auto& w : batch) settle_now(w, refusal{"record_changed", "another program keeps writing to this account"});
            return {};
        }
        if (batch.size() > 1) { // one that is refused does not take the others with it
            alone_ = batch.size();
            return {};
        }
        // Refused, or it was there before: hosts say the latter in words of their own.
        if (batch.front().what.how == how::create) {
            if (const auto known = ask_after(batch.front()); !known) return known;
            if (copy_->get(batch.front().what.collection, batch.front().what.rkey)) return {}; // the next round answers by it
        }
        one_less();
        settle_now(batch.front(), refused(*said));
        return {};
    }
    void one_less() {
        if (alone_ > 0) --alone_;
    }
    result<void> written(const std::vector<waiting_write>& batch, const reply& r) {
        overtaken_ = 0;
        one_less();
        const auto* results = r.body.find("results");
        const auto* each = results ? results->as<value::list>() : nullptr;
        std::vector<record_write> copies;
        std::vector<std::optional<refusal>> wrong(batch.size());
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const auto& w = batch[i];
            const auto& one = batch.size() == 1 ? r.body : each && i < each->size() ? (*each)[i] : r.body;
            if (w.what.how != how::remove && one.text("cid") != w.cid.text())
                wrong[i] = refusal{"pds_answered_otherwise", "the account's host has kept another record than it was given"};
            else copies.push_back({w.what.how == how::remove ? how::remove : how::put, w.what.collection, w.what.rkey, w.what.what});
        }
        if (const auto* commit = r.body.find("commit"); commit && !commit->text("cid").empty()) head_ = std::string(commit->text("cid"));
        else head_.clear(); // it is asked for
        auto kept = copy_now(std::move(copies));
        std::vector<std::int64_t> ids;
        std::size_t at = 0;
        std::vector<std::pair<place, result<stored_record>>> answers;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            auto answer = wrong[i] ? result<stored_record>(*wrong[i]) : std::move(kept[at++]);
            if (!answer && !wrong[i]) return answer.error(); // the disk: the host has it, so it is found there later
            ids.push_back(batch[i].id);
            if (auto p = taken(batch[i].id)) answers.emplace_back(std::move(*p), std::move(answer));
        }
        outbox_->done(ids);
        count(&remote_state::written, ids.size());
        for (auto& [p, answer] : answers) p.of->settle(p.at, std::move(answer));
        return {};
    }
    void settle_now(const waiting_write& w, result<stored_record> r) {
        outbox_->done({w.id});
        if (auto p = taken(w.id)) p->of->settle(p->at, std::move(r));
    }
    std::optional<place> taken(std::int64_t id) {
        asked_.erase(id);
        const std::lock_guard hold(waiting_guard_);
        const auto at = waiting_.find(id);
        if (at == waiting_.end()) return std::nullopt; // of a run before this one: nobody waits
        auto p = std::move(at->second);
        waiting_.erase(at);
        return p;
    }
    void count(std::uint64_t remote_state::* what, std::uint64_t n = 1) {
        const std::lock_guard hold(guard_);
        state_.*what += n;
    }
    std::vector<result<stored_record>> copy_now(std::vector<record_write> all) {
        std::promise<std::vector<result<stored_record>>> kept;
        copy_->apply(std::move(all), [&](std::vector<result<stored_record>> r) { kept.set_value(std::move(r)); });
        return kept.get_future().get();
    }

    // -- what is there -----------------------------------------------------------------------------------------------------------
    // Afterwards the copy says of this record what the host says.
    result<void> ask_after(const waiting_write& w) {
        const auto said = host_->call({"com.atproto.repo.getRecord", joined({{"repo", did_}, {"collection", w.what.collection}, {"rkey", w.what.rkey}}), std::nullopt, internal::largest_record_json});
        if (!said) return as_unreachable(said.error());
        record_write found{how::remove, w.what.collection, w.what.rkey, {}};
        if (said->well()) {
            auto there = internal::from_entry(said->body, did_, w.what.collection);
            if (!there) return there.error();
            if (there->uri.rkey != w.what.rkey) return refusal{"bad_record", "the host answers with another record"};
            found.how = how::put, found.what = std::move(there->value);
        } else if (said->error != "RecordNotFound") return away(*said);
        if (auto kept = copy_now({std::move(found)}); !kept.front()) return kept.front().error();
        return {};
    }
    // Reading has no effect: not knowing its answer is no more than not having asked.
    static refusal as_unreachable(refusal why) {
        if (why.code == "pds_unknown") why.code = "pds_unreachable";
        return why;
    }

    // Whether others have written, and if so what.
    result<void> look() {
        const auto said = host_->call({"com.atproto.sync.getLatestCommit", joined({{"did", did_}}), std::nullopt});
        if (!said) return as_unreachable(said.error());
        if (!said->well()) return away(*said);
        const std::string now_at(said->body.text("cid"));
        if (now_at.empty()) return refusal{"pds_unreachable", "the host does not say which commit is the latest"};
        if (now_at == head_) return {};
        for (const auto& collection : options_.collections)
            if (const auto ok = adopt(collection); !ok) return ok;
        head_ = now_at; // what was written meanwhile moves it again
        return {};
    }
    result<void> adopt(const std::string& collection) {
        std::map<std::string, stored_record> there;
        std::string cursor;
        bool whole = false;
        while (!whole && there.size() < most_listed) {
            auto query = joined({{"repo", did_}, {"collection", collection}, {"limit", std::to_string(page)}});
            if (!cursor.empty()) query += "&cursor=" + http::percent_encode(cursor);
            const auto said = host_->call({"com.atproto.repo.listRecords", query, std::nullopt, largest_page});
            if (!said) return as_unreachable(said.error());
            if (!said->well()) return away(*said);
            const auto* records = said->body.find("records");
            const auto* all = records ? records->as<value::list>() : nullptr;
            if (!all || all->size() > page) return refusal{"bad_record", "the host's list has no records in it"};
            for (const auto& one : *all) {
                auto r = internal::from_entry(one, did_, collection);
                if (!r) return r.error();
                there.emplace(r->uri.rkey, std::move(*r));
            }
            const std::string next(said->body.text("cursor"));
            whole = all->empty() || next.empty() || next == cursor;
            cursor = next;
        }
        std::vector<record_write> changes;
        for (const auto& [rkey, r] : there) {
            const auto here = copy_->get(collection, rkey);
            if (!here || here->cid != r.cid) changes.push_back({how::put, collection, rkey, r.value});
        }
        if (whole) // newest come first: of a list that was cut off, what is missing may be what is old
            for (const auto& here : copy_->list(collection, 2 * most_listed))
                if (!there.contains(here.uri.rkey)) changes.push_back({how::remove, collection, here.uri.rkey, {}});
        if (changes.empty()) return {};
        count(&remote_state::adopted, changes.size());
        for (const auto& kept : copy_now(std::move(changes)))
            if (!kept) return kept.error();
        return {};
    }

    const remote_options options_;
    const std::unique_ptr<synced_repository> copy_;
    const std::unique_ptr<outbox> outbox_;
    const std::unique_ptr<session> host_;
    const std::string did_;
    const unsigned clock_id_ = static_cast<unsigned>(std::hash<std::string>{}(did_) % 1024);
    std::atomic<instant> heard_{instant{}};

    mutable std::mutex guard_;
    std::condition_variable moved_;
    std::deque<std::shared_ptr<unit>> queue_; // not on the disk yet
    remote_state state_;
    bool shown_ = false, stopped_ = false;

    std::mutex waiting_guard_;
    std::map<std::int64_t, place> waiting_; // on the disk, for whom

    std::uint64_t last_us_ = 0; // the clerk's

    std::string head_;           // these are the sender's: the account's commit, as it is known
    std::int64_t unsure_up_to_ = 0;
    std::set<std::int64_t> asked_; // of those: asked after since they were sent
    std::size_t alone_ = 0;      // so many of the first are sent one at a time
    int overtaken_ = 0;

    std::thread clerk_, sender_; // last: they use all of the above
};

std::unique_ptr<remote_repository> open_remote_repository(std::unique_ptr<synced_repository> copy, std::unique_ptr<outbox> out, std::unique_ptr<session> host, remote_options o) {
    return std::make_unique<remote>(std::move(copy), std::move(out), std::move(host), std::move(o));
}

} // namespace souk::pds
