#include <souk/actors/fleet/fleet.hpp>

#include <algorithm>
#include <memory>

namespace souk {

std::vector<std::string> best_fit(const std::vector<host_view>& hosts, const room_request& r) {
    std::vector<const host_view*> fit;
    const auto elsewhere = [&](const host_view& h) {
        const auto differs = [](const auto& want, const auto& have) { return want && have && *want != *have; };
        return r.location && h.location && (differs(r.location->country, h.location->country) || differs(r.location->region, h.location->region));
    };
    for (const auto& h : hosts)
        if (!h.draining && !h.lost && !elsewhere(h) && h.free_cpus >= r.cpus && h.free_mem_mib >= r.mem_mib && h.free_disk_mib >= r.disk_mib) fit.push_back(&h);
    std::sort(fit.begin(), fit.end(), [](const host_view* a, const host_view* b) {
        if (a->free_mem_mib != b->free_mem_mib) return a->free_mem_mib < b->free_mem_mib;
        if (a->free_cpus != b->free_cpus) return a->free_cpus < b->free_cpus;
        return a->host < b->host;
    });
    std::vector<std::string> names;
    for (const auto* h : fit) names.push_back(h->host);
    return names;
}

namespace {

using namespace std::chrono_literals;

struct fleet_state {
    using handle = fleet_actor;
    static constexpr const char* name = "souk.fleet";

    fleet_state(handle::pointer self, fleet_options options) : self_(self), options_(std::move(options)) {}

    handle::behavior_type make_behavior() {
        return {
            [this](const room_request& r) -> caf::result<room_answer> { return find_room(r); },
            [this](const machine_start& m) -> caf::result<machine_view> { return pass_on(m.tag, m.host, m); },
            [this](const machine_end& m) -> caf::result<machine_view> {
                if (m.host.empty()) return end_anywhere(m);
                return pass_on(m.tag, m.host, m);
            },
            [this](const machine_query& q) -> caf::result<machine_list> { return gather_machines(q); },
            [this](const console_query& q) -> caf::result<console_view> {
                auto promise = self_->template make_response_promise<console_view>();
                auto round = std::make_shared<console_view>(console_view{{}, refusal{"unknown_machine", "no host of this fleet runs it"}});
                each_host<console_view>(q, [round](const std::string&, const console_view& v) { if (!v.refused) *round = v; },
                                        [round, promise]() mutable { promise.deliver(std::move(*round)); });
                return promise;
            },
            [this](const host_query&) -> caf::result<fleet_view> {
                auto promise = self_->template make_response_promise<fleet_view>();
                survey([promise](std::vector<host_view> all) mutable { promise.deliver(fleet_view{std::move(all)}); });
                return promise;
            },
            [this](const drain_host& d) -> caf::result<host_view> {
                const auto all = options_.hosts();
                const auto at = all.find(d.host);
                if (at == all.end()) return caf::make_error(caf::sec::cannot_connect_to_node, "no such host in this fleet now");
                auto promise = self_->template make_response_promise<host_view>();
                request(*self_, at->second, options_.host_within, d)
                    .then([promise](host_view& v) mutable { promise.deliver(std::move(v)); }, [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
                return promise;
            },
        };
    }

private:
    // Asks every host the same; `heard` for each answer, `done` once, when all have answered or failed.
    template <class Answer, class Question, class Heard, class Done>
    void each_host(const Question& q, Heard heard, Done done) {
        const auto all = options_.hosts();
        if (all.empty()) return done();
        auto left = std::make_shared<std::size_t>(all.size());
        auto end = std::make_shared<Done>(std::move(done));
        const auto one_less = [left, end] { if (--*left == 0) (*end)(); };
        for (const auto& [host, launcher] : all)
            request(*self_, launcher, options_.host_within, q)
                .then([heard, one_less, host = host](Answer& a) mutable { heard(host, a), one_less(); },
                      [this, one_less, host = host](const caf::error&) mutable { known_[host].lost = true, one_less(); });
    }

    void survey(std::function<void(std::vector<host_view>)> then) {
        auto found = std::make_shared<std::vector<host_view>>();
        each_host<host_view>(host_query{}, [this, found](const std::string& host, const host_view& v) { known_[host] = v, found->push_back(v); },
                             [this, found, then = std::move(then)] {
                                 // Hosts that were here and cannot be asked: shown as lost, never as gone.
                                 for (auto& [host, v] : known_) {
                                     if (std::any_of(found->begin(), found->end(), [&, h = host](const host_view& x) { return x.host == h; })) continue;
                                     v.host = host, v.lost = true;
                                     found->push_back(v);
                                 }
                                 std::sort(found->begin(), found->end(), [](const auto& a, const auto& b) { return a.host < b.host; });
                                 then(std::move(*found));
                             });
    }

    // The same tag asked again finds the room that it already has, on whichever host.
    caf::result<room_answer> find_room(const room_request& r) {
        auto promise = self_->template make_response_promise<room_answer>();
        auto held = std::make_shared<std::string>();
        each_host<machine_list>(machine_query{r.tag},
            [held](const std::string& host, const machine_list& l) {
                for (const auto& m : l.all)
                    if (m.phase != "none" && m.phase != "gone") *held = host;
            },
            [this, r, promise, held]() mutable {
                if (!held->empty()) return try_hosts(r, {*held}, std::move(promise), {});
                survey([this, r, promise](std::vector<host_view> hosts) mutable {
                    auto order = best_fit(hosts, r);
                    if (!order.empty()) return try_hosts(r, std::move(order), std::move(promise), {});
                    const auto could = [&](const host_view& h) { return h.cpus >= r.cpus && h.mem_mib >= r.mem_mib && h.disk_mib >= r.disk_mib; };
                    const bool ever = std::any_of(hosts.begin(), hosts.end(), could);
                    if (std::any_of(hosts.begin(), hosts.end(), [&](const host_view& h) { return h.lost && could(h); }))
                        return promise.deliver(room_answer{{}, {}, refusal{"host_lost", "the hosts that could take it cannot be asked now"}}), void();
                    promise.deliver(room_answer{{}, {}, ever ? refusal{"no_room", "every host of the fleet that could take it is full now"}
                                                             : refusal{"never_fits", "no host of the fleet is as big as that"}});
                });
            });
        return promise;
    }
    void try_hosts(const room_request& r, std::vector<std::string> order, caf::typed_response_promise<room_answer> promise, refusal last) {
        if (order.empty()) {
            promise.deliver(room_answer{{}, {}, last.code.empty() ? refusal{"host_lost", "no host answered"} : last});
            return;
        }
        const auto host = order.front();
        order.erase(order.begin());
        const auto all = options_.hosts();
        const auto at = all.find(host);
        if (at == all.end()) return try_hosts(r, std::move(order), std::move(promise), std::move(last));
        request(*self_, at->second, options_.host_within, r)
            .then(
                [this, r, order, promise, host](const machine_view& v) mutable {
                    if (v.refused) return try_hosts(r, std::move(order), std::move(promise), *v.refused);
                    promise.deliver(room_answer{host, known_[host].tier, {}});
                },
                // It may have kept room all the same: that expires by itself, so going on is safe.
                [this, r, order, promise, last](const caf::error&) mutable { try_hosts(r, std::move(order), std::move(promise), std::move(last)); });
    }
    template <class Order>
    caf::result<machine_view> pass_on(const std::string& tag, const std::string& host, const Order& what) {
        const auto all = options_.hosts();
        const auto at = all.find(host);
        if (at == all.end()) return caf::make_error(caf::sec::cannot_connect_to_node, "host " + host + " cannot be reached now"); // unknown, not gone
        (void)tag;
        auto promise = self_->template make_response_promise<machine_view>();
        request(*self_, at->second, 25s, what)
            .then([promise](machine_view& v) mutable { promise.deliver(std::move(v)); }, [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
        return promise;
    }
    // Room may have been kept on a host whose answer was lost: whoever has the tag ends it.
    caf::result<machine_view> end_anywhere(const machine_end& m) {
        auto promise = self_->template make_response_promise<machine_view>();
        auto worst = std::make_shared<machine_view>();
        worst->tag = m.tag, worst->phase = "none";
        each_host<machine_view>(m, [worst](const std::string&, const machine_view& v) {
            if (v.phase != "none" && (worst->phase == "none" || v.phase != "gone")) *worst = v;
        }, [worst, promise]() mutable { promise.deliver(std::move(*worst)); });
        return promise;
    }
    caf::result<machine_list> gather_machines(const machine_query& q) {
        auto promise = self_->template make_response_promise<machine_list>();
        auto found = std::make_shared<machine_list>();
        each_host<machine_list>(q,
            [found, q](const std::string&, const machine_list& l) {
                for (const auto& m : l.all)
                    if (q.tag.empty() || m.phase != "none") found->all.push_back(m);
            },
            [found, promise]() mutable { promise.deliver(std::move(*found)); });
        return promise;
    }

    handle::pointer self_;
    fleet_options options_;
    std::map<std::string, host_view> known_;
};

} // namespace

fleet_actor spawn_fleet(caf::actor_system& sys, fleet_options options) { return sys.spawn<actor_of<fleet_state>>(std::move(options)); }

} // namespace souk
