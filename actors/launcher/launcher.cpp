#include <souk/actors/launcher/launcher.hpp>

#include <map>
#include <unordered_map>

#include <souk/actors/common/planted.hpp>

namespace souk {

struct machine_changed {
    std::string key;
    machine::state now;
};
struct swept {
    std::vector<std::string> tags;
};
struct sweep_now {};
struct give_up {
    std::string tag;
    std::uint64_t waiter = 0;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::machine_changed)
SOUK_LOCAL_MESSAGE(souk::swept)
SOUK_LOCAL_MESSAGE(souk::sweep_now)
SOUK_LOCAL_MESSAGE(souk::give_up)

namespace souk {

namespace {

using namespace std::chrono_literals;

using own_interface = extended<launcher_actor, caf::result<void>(machine_changed), caf::result<void>(swept), caf::result<void>(sweep_now), caf::result<void>(give_up)>;

std::string phase_name(machine::phase p) { return boost::describe::enum_to_string(p, "?"); }

// Who holds which part of a host. Counted as it changes, because every bid asks.
class rooms {
public:
    explicit rooms(compute::size all) : left_(all) {}

    // Asked for: counted from now on, not only once it is durable.
    void keep(const std::string& tag, const room_request& r) { put(tag, {{r.cpus, r.mem_mib, r.disk_mib}, false, false}); }
    // What has become of it, by its machine.
    void follow(const std::string& tag, const machine::state& now) {
        if (machine::holds_room(now)) put(tag, {{now.room.cpus, now.room.mem_mib, now.room.disk_mib}, true, machine::owns_instance(now)});
        else if (!planted(defect::room_leaks)) drop(tag);
    }
    // The asking came to nothing, unless its machine said otherwise.
    void asked(const std::string& tag) {
        if (!durable(tag)) drop(tag);
    }
    bool holds(const std::string& tag) const { return held_.count(tag) > 0; }
    bool durable(const std::string& tag) const {
        const auto at = held_.find(tag);
        return at != held_.end() && at->second.durable;
    }
    const compute::size& left() const { return left_; }
    std::uint32_t instances() const { return instances_; }

private:
    struct part {
        compute::size size;
        bool durable = false, owns_instance = false;
    };
    void put(const std::string& tag, part p) {
        drop(tag);
        left_.cpus -= p.size.cpus, left_.mem_mib -= p.size.mem_mib, left_.disk_mib -= p.size.disk_mib;
        instances_ += p.owns_instance;
        held_.emplace(tag, std::move(p));
    }
    void drop(const std::string& tag) {
        const auto was = held_.extract(tag);
        if (was.empty()) return;
        const auto& p = was.mapped();
        left_.cpus += p.size.cpus, left_.mem_mib += p.size.mem_mib, left_.disk_mib += p.size.disk_mib;
        instances_ -= p.owns_instance;
    }

    compute::size left_;
    std::unordered_map<std::string, part> held_;
    std::uint32_t instances_ = 0;
};

struct launcher_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.launcher";

    launcher_state(handle::pointer self, launcher_options options, journal& log, compute::backend& backend, performer<machine>& world)
        : self_(self), options_(std::move(options)), backend_(backend), rooms_(options_.capacity) {
        const auto me = handle{self};
        // What the journal has open is told here before anything else can be asked: room is counted from it.
        footing<machine> on{&log, &world, options_.now, [me](const std::string& key, const machine::state& s, const auto&) { tell(me, machine_changed{key, s}); }, {}, options_.trouble};
        all_.emplace(self->home_system(), options_.shards, std::move(on));
        send_after(*self, me, 1ms, sweep_now{});
    }

    handle::behavior_type make_behavior() {
        return {
            [this](const room_request& r) -> caf::result<machine_view> {
                if (!rooms_.holds(r.tag)) { // the same request again, perhaps before the first was answered
                    if (draining_) return refused(r.tag, {"draining", "this host takes no new machines"});
                    if (auto no = no_room_for(r)) return refused(r.tag, std::move(*no));
                    rooms_.keep(r.tag, r);
                }
                return give_order(r.tag, machine::reserve{r});
            },
            [this](const machine_start& m) -> caf::result<machine_view> { return give_order(m.tag, machine::launch{m}, machine::phase::launching); },
            [this](const machine_end& m) -> caf::result<machine_view> { return give_order(m.tag, machine::stop{m.why}, machine::phase::stopping); },
            [this](const machine_query& q) -> caf::result<machine_list> {
                auto promise = self_->template make_response_promise<machine_list>();
                if (!q.tag.empty()) return one_machine(q.tag, promise);
                all_->live(*self_, [this, promise](std::map<std::string, machine::state> found) mutable {
                    machine_list out;
                    for (const auto& [tag, s] : found) out.all.push_back(view(tag, s));
                    promise.deliver(std::move(out));
                });
                return promise;
            },
            [this](const host_query&) -> caf::result<host_view> { return host(); },
            [this](const drain_host& d) -> caf::result<host_view> {
                draining_ = d.on;
                return host();
            },
            [this](const console_query& q) -> caf::result<console_view> {
                if (!rooms_.durable(q.tag)) return console_view{{}, refusal{"unknown_machine", "no such machine runs here"}};
                return console_view{backend_.console(q.tag, std::min<std::uint64_t>(q.last_bytes, 256 * 1024)), {}};
            },
            [this](const machine_changed& c) {
                rooms_.follow(c.key, c.now);
                answer_waiting(c.key, c.now);
            },
            [this](const give_up& g) {
                const auto [from, to] = waiting_.equal_range(g.tag);
                for (auto at = from; at != to; ++at)
                    if (at->second.number == g.waiter) {
                        at->second.promise.deliver(view(g.tag, all_->durable(g.tag)));
                        waiting_.erase(at);
                        return;
                    }
            },
            [this](const swept& s) { end_orphans(s.tags); },
            [this](const sweep_now&) {
                const auto me = handle{self_};
                backend_.list([me](result<std::vector<std::string>> tags) {
                    if (tags) tell(me, swept{std::move(*tags)});
                });
                send_after(*self_, me, options_.sweep_every, sweep_now{});
            },
        };
    }

private:
    caf::result<machine_list> one_machine(const std::string& tag, caf::typed_response_promise<machine_list> promise) {
        request(*self_, all_->shard(tag), 5s, state_query<machine>{tag})
            .then([this, tag, promise](const state_answer<machine>& s) mutable { promise.deliver(machine_list{{view(tag, s.found ? *s.found : all_->durable(tag))}}); },
                  [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
        return promise;
    }
    // `passing`: a phase that the order leads to and that is soon over. The answer waits for that a little, so that nobody has to poll.
    caf::result<machine_view> give_order(const std::string& tag, machine::command what, machine::phase passing = machine::phase::none) {
        auto promise = self_->template make_response_promise<machine_view>();
        request(*self_, all_->shard(tag), 20s, order<machine>{tag, std::move(what)})
            .then(
                [this, tag, promise, passing](const answer& a) mutable {
                    rooms_.asked(tag);
                    request(*self_, all_->shard(tag), 5s, state_query<machine>{tag})
                        .then(
                            [this, tag, promise, passing, no = a.refused](const state_answer<machine>& s) mutable {
                                const auto now = s.found ? *s.found : all_->durable(tag);
                                if (!no && passing != machine::phase::none && now.at == passing && waiting_.count(tag) < most_waiting) {
                                    const auto number = ++last_waiter_;
                                    waiting_.emplace(tag, waiter{number, passing, promise});
                                    send_after(*self_, handle{self_}, answer_within, give_up{tag, number});
                                    return;
                                }
                                auto v = view(tag, now);
                                v.refused = no;
                                promise.deliver(std::move(v));
                            },
                            [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
                },
                [this, tag, promise](caf::error& e) mutable {
                    rooms_.asked(tag);
                    promise.deliver(std::move(e));
                });
        return promise;
    }
    void answer_waiting(const std::string& tag, const machine::state& now) {
        const auto [from, to] = waiting_.equal_range(tag);
        for (auto at = from; at != to;) {
            if (now.at == at->second.passing) {
                ++at;
                continue;
            }
            at->second.promise.deliver(view(tag, now));
            at = waiting_.erase(at);
        }
    }
    machine_view refused(const std::string& tag, refusal why) const {
        machine_view v;
        v.tag = tag, v.phase = "none", v.host = options_.host, v.refused = std::move(why);
        return v;
    }
    machine_view view(const std::string& tag, const machine::state& s) const {
        machine_view v;
        v.tag = tag, v.phase = phase_name(s.at), v.host = options_.host, v.why = s.why, v.since = s.since;
        v.address = s.where.host, v.port = s.where.port, v.host_key = s.where.host_key, v.user = s.where.user;
        v.tier = boost::describe::enum_to_string(s.where.tier, "none");
        v.cpus = s.room.cpus, v.mem_mib = s.room.mem_mib, v.disk_mib = s.room.disk_mib;
        return v;
    }
    std::optional<refusal> no_room_for(const room_request& r) const {
        const auto& all = options_.capacity;
        if (r.cpus <= 0 || r.mem_mib <= 0 || r.disk_mib < 0) return refusal{"bad_size", "a machine needs cpus and memory"};
        if (r.cpus > all.cpus || r.mem_mib > all.mem_mib || r.disk_mib > all.disk_mib)
            return refusal{"never_fits", options_.host + " has " + std::to_string(all.cpus) + " cpus, " + std::to_string(all.mem_mib) + " MiB of memory, " +
                                             std::to_string(all.disk_mib) + " MiB of disk in all"};
        const auto& left = rooms_.left();
        if (r.cpus > left.cpus || r.mem_mib > left.mem_mib || r.disk_mib > left.disk_mib)
            return refusal{"no_room", options_.host + " is full: " + std::to_string(left.cpus) + " cpus and " + std::to_string(left.mem_mib) + " MiB are left"};
        if (r.location && options_.location) {
            const auto differs = [](const auto& want, const auto& have) { return want && have && *want != *have; };
            if (differs(r.location->country, options_.location->country) || differs(r.location->region, options_.location->region))
                return refusal{"never_fits", options_.host + " is elsewhere"};
        }
        return std::nullopt;
    }
    host_view host() const {
        const auto& left = rooms_.left();
        const auto can = backend_.can();
        host_view v;
        v.host = options_.host, v.location = options_.location, v.draining = draining_;
        v.cpus = options_.capacity.cpus, v.mem_mib = options_.capacity.mem_mib, v.disk_mib = options_.capacity.disk_mib;
        v.free_cpus = left.cpus, v.free_mem_mib = left.mem_mib, v.free_disk_mib = left.disk_mib;
        v.backend = can.backend, v.acceleration = can.acceleration, v.note = can.note;
        v.tier = boost::describe::enum_to_string(can.tier, "none");
        v.machines = rooms_.instances();
        return v;
    }
    // Intent is journalled before a backend is called, so what the backend has and the journal does not know was never ours to keep.
    void end_orphans(const std::vector<std::string>& listed) {
        for (const auto& tag : orphans(listed, [this](const std::string& t) { return all_->durable(t); }))
            backend_.terminate(tag, [](compute::report) {}); // the next sweep sees whether it worked
    }

    static constexpr std::chrono::milliseconds answer_within{6'000};
    static constexpr std::size_t most_waiting = 16; // for one machine
    struct waiter {
        std::uint64_t number = 0;
        machine::phase passing = machine::phase::none;
        caf::typed_response_promise<machine_view> promise;
    };

    handle::pointer self_;
    launcher_options options_;
    compute::backend& backend_;
    rooms rooms_;
    std::multimap<std::string, waiter> waiting_;
    std::uint64_t last_waiter_ = 0;
    bool draining_ = false;
    std::optional<entities<machine>> all_;
};

} // namespace

// -- the backend -------------------------------------------------------------------------------------------------------------

void machine_world::perform(const machine::create& f, reply_to<machine::create> tell) {
    const auto issuer = issuer_ ? issuer_() : issuer_actor{};
    if (!issuer) return launch(f, {}, std::move(tell));
    // The token is asked for here, at the last moment, so that it is in no journal.
    ask<token_answer>(sys_, issuer, 15s, boot_token_request{f.what.tag, f.what.subject}, [this, f, tell](result<token_answer> t) {
        if (!t) return tell({f, verdict::unknown, {}, t.error().text});
        if (t->refused) return tell({f, verdict::failed, {}, t->refused->text});
        launch(f, *t, tell);
    });
}

void machine_world::launch(const machine::create& f, const token_answer& token, reply_to<machine::create> tell) {
    compute::order o;
    o.tag = f.what.tag;
    o.size = {f.room.cpus, f.room.mem_mib, f.room.disk_mib};
    o.user_data = f.what.user_data;
    o.ssh_key = f.what.ssh_key;
    o.leads = options_.leads;
    o.ca_pem = options_.ca_pem;
    o.not_after = f.not_after;
    if (!token.token.empty()) {
        o.files.push_back({options_.token_path, token.token, 0600});
        o.files.push_back({options_.url_path, options_.base_url, 0600});
        o.files.push_back({options_.actx_path, token.actx, 0600});
    }
    const std::lock_guard hold(guard_); // through the call: an end comes before it or after it, never in between
    if (ended_.count(f.what.tag)) return tell({f, verdict::failed, {}, "it was ended before it started"});
    backend_.launch(std::move(o), [f, tell](compute::launched x) {
        if (x.machine) return tell({f, verdict::done, {*x.machine}, {}});
        const auto said = x.kind == compute::problem::unknown ? verdict::unknown : verdict::failed;
        tell({f, said, {}, x.why.text});
    });
}

void machine_world::perform(const machine::destroy& f, reply_to<machine::destroy> tell) {
    {
        const std::lock_guard hold(guard_);
        if (ended_.insert(f.tag).second) ended_in_order_.push_back(f.tag);
        if (ended_.size() > most_ended) ended_.erase(ended_in_order_.front()), ended_in_order_.pop_front();
    }
    backend_.terminate(f.tag, [f, tell](compute::report r) {
        if (r.is == compute::presence::absent) return tell({f, verdict::done, {r.as_of, true}, {}});
        tell({f, verdict::unknown, {}, r.note});
    });
}

void machine_world::perform(const machine::observe& f, reply_to<machine::observe> tell) {
    backend_.look(f.tag, [f, tell](compute::report r) {
        if (r.is == compute::presence::unknown) return tell({f, verdict::unknown, {}, r.note});
        tell({f, verdict::done, {r.is, r.as_of}, {}});
    });
}

launcher_actor spawn_launcher(caf::actor_system& sys, launcher_options options, journal& log, compute::backend& backend, performer<machine>& world) {
    return sys.spawn<actor_of<launcher_state>>(std::move(options), std::ref(log), std::ref(backend), std::ref(world));
}

} // namespace souk
