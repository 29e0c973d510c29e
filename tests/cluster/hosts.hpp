// Hosts of a test cluster: an authority, certificates, actor systems with a role that answers, and waits with deadlines.
#pragma once
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include <stdlib.h>

#include <caf/scoped_actor.hpp>

#include <souk/backends/tls/authority.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/runtime/cluster/cluster.hpp>
#include <souk/runtime/cluster/system.hpp>

namespace hosts {

using namespace souk;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

inline constexpr auto patience = 20'000ms; // of waits that end at once unless something is broken

// -- certificates -----------------------------------------------------------------------------------------------------------

struct directory {
    fs::path path;
    directory() {
        auto name = (fs::temp_directory_path() / "souk-cluster-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~directory() { fs::remove_all(path); }
    directory(const directory&) = delete;
    directory& operator=(const directory&) = delete;
    fs::path operator/(const std::string& s) const { return path / s; }
};

struct authority {
    directory home;
    tls::identity own = tls::make_authority("Test cluster");

    authority() { tls::write_secret(home / "authority.crt", own.certificate); }
    void issue(const std::string& node, std::vector<std::string> dns = {}) {
        tls::leaf l;
        l.common_name = node, l.dns = dns.empty() ? std::vector{node} : std::move(dns), l.client = true;
        const auto id = tls::issue(own, l);
        tls::write_secret(home / (node + ".crt"), id.certificate);
        tls::write_secret(home / (node + ".key"), id.key);
    }
    cluster_options options(const std::string& node, const std::string& certificate_of = {}) {
        const auto& who = certificate_of.empty() ? node : certificate_of;
        if (!fs::exists(home / (who + ".crt"))) issue(who);
        cluster_options o;
        o.node = node, o.owner = "did:web:" + node;
        o.certificate = home / (who + ".crt"), o.key = home / (who + ".key"), o.authority = home / "authority.crt";
        o.limits.heartbeat = 100ms, o.limits.lost_after = 1'000ms;
        o.limits.redial_first = 50ms, o.limits.redial_at_most = 400ms;
        return o;
    }
};

// -- a role -------------------------------------------------------------------------------------------------------------------

// Signs by saying who it is: "alice signed hello". "wait" it never answers.
struct signer_state {
    using handle = signer_actor;
    static constexpr const char* name = "test.signer";

    signer_state(handle::pointer self, std::string who) : self_(self), who_(std::move(who)) {}
    handle::behavior_type make_behavior() {
        return {[this](const sign_record& r) -> caf::result<signed_record> {
            if (r.record.data == "wait") {
                unanswered_.push_back(self_->make_response_promise<signed_record>());
                return unanswered_.back();
            }
            signed_record out;
            out.uri = who_ + " signed " + r.record.data;
            out.record = r.record;
            return out;
        },
        [](const withdraw_record&) -> caf::result<kept> { return kept{}; }};
    }

private:
    handle::pointer self_;
    std::string who_;
    std::vector<caf::typed_response_promise<signed_record>> unanswered_;
};
inline signer_actor spawn_signer(caf::actor_system& sys, const std::string& who) { return sys.spawn<actor_of<signer_state>>(who); }

inline sign_record to_sign(const std::string& what) {
    sign_record r;
    r.collection = "test", r.record = what;
    return r;
}

// -- a host -------------------------------------------------------------------------------------------------------------------

struct host {
    struct config : caf::actor_system_config {
        explicit config(const cluster_limits& l) {
            set("scheduler.max-threads", 2u);
            prepare(*this, l);
        }
    };
    config cfg;
    std::unique_ptr<caf::actor_system> sys;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<link_view> history; // as told
    std::vector<caf::actor> roles;
    std::unique_ptr<cluster> net;

    explicit host(cluster_options o) : cfg(o.limits), sys(std::make_unique<caf::actor_system>(cfg)) {
        o.on_link = [this](const link_view& v) {
            const std::lock_guard lock(mutex);
            history.push_back(v);
            changed.notify_all();
        };
        try {
            net = std::make_unique<cluster>(*sys, std::move(o), wall_clock());
        } catch (...) {
            sys.reset();
            throw;
        }
    }
    ~host() {
        net.reset();
        for (const auto& r : roles) caf::anon_send_exit(r, caf::exit_reason::kill);
        roles.clear();
    }
    signer_actor offer_signer(const std::string& role, const std::string& who) {
        auto s = spawn_signer(*sys, who);
        roles.push_back(caf::actor_cast<caf::actor>(s));
        net->offer(role, caf::actor_cast<caf::strong_actor_ptr>(s));
        return s;
    }

    // Until the last that was told of that node satisfies it.
    template <class Predicate>
    bool until(const std::string& node, Predicate p, std::chrono::milliseconds within = patience) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, within, [&] {
            for (auto v = history.rbegin(); v != history.rend(); ++v)
                if (v->node == node) return p(*v);
            return false;
        });
    }
    bool up(const std::string& node) {
        return until(node, [](const link_view& v) { return v.state == "up"; });
    }
    bool up_with(const std::string& node, const std::string& role) {
        return until(node, [&](const link_view& v) { return v.state == "up" && std::find(v.roles.begin(), v.roles.end(), role) != v.roles.end(); });
    }
    bool down(const std::string& node, std::chrono::milliseconds within = patience) {
        return until(node, [](const link_view& v) { return v.state != "up"; }, within);
    }
    bool never_lost(const std::string& node) { // since it was up first
        const std::lock_guard lock(mutex);
        bool was_up = false, lost = false;
        for (const auto& v : history) {
            if (v.node != node) continue;
            lost = lost || (was_up && v.state != "up");
            was_up = was_up || v.state == "up";
        }
        return was_up && !lost;
    }
    std::string state(const std::string& node) const {
        for (const auto& l : net->links())
            if (l.node == node) return l.state;
        return "unknown";
    }
    // What came back, or "failed: ..." .
    std::string ask(const signer_actor& who, const std::string& what, std::chrono::milliseconds within = patience) {
        caf::scoped_actor self(*sys);
        std::string said;
        self->request(who, within, to_sign(what))
            .receive([&](const signed_record& r) { said = r.uri; }, [&](const caf::error& e) { said = "failed: " + sys->render(e); });
        return said;
    }
    std::string ask(const std::string& role, const std::string& what, const std::string& owner = {}) {
        return ask(net->find<signer_actor>(role, owner), what);
    }
};

inline cluster_options::peer at(const std::string& node, std::uint16_t port) { return {node, "127.0.0.1", port}; }

} // namespace hosts
