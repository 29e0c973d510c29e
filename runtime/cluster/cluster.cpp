#include <souk/runtime/cluster/cluster.hpp>

#include <caf/scoped_actor.hpp>

#include <souk/runtime/cluster/directory.hpp>

namespace souk {

using namespace carrier;

class cluster::impl {
public:
    impl(caf::actor_system& sys, const cluster_options& o, std::function<instant()> now)
        : sys_(sys), who_(std::make_shared<roster>(sys, o.node, o.owner, o.limits)), shown_(std::make_shared<link_board>()) {
        directory_ = spawn_directory(sys, {o, std::move(now), who_, shown_});
        try {
            carrier_ = std::make_shared<class carrier>(sys, o, caf::actor_cast<caf::strong_actor_ptr>(directory_),
                                                       sys.message_types(caf::detail::type_list<directory_actor>{}),
                                                       [d = caf::actor_cast<caf::weak_actor_ptr>(directory_)](const link_ptr& l) {
                                                           if (const auto to = d.lock()) tell(caf::actor_cast<directory_handle>(to), link_lost{l});
                                                       });
        } catch (...) {
            end_directory();
            throw;
        }
        tell(directory_, begin{carrier_});
    }
    ~impl() {
        who_->close();
        end_directory();
        carrier_.reset();
    }
    impl(const impl&) = delete;
    impl& operator=(const impl&) = delete;

    void offer(const std::string& role, const caf::strong_actor_ptr& who) {
        who_->offer(role, who);
        tell(directory_, roles_changed{});
        if (!who) return;
        who->get()->attach_functor(
            [roster = std::weak_ptr(who_), address = caf::actor_addr(who->address()), d = caf::actor_cast<caf::weak_actor_ptr>(directory_)](const caf::error&) {
                const auto all = roster.lock();
                const auto to = d.lock();
                if (all && to && all->withdraw(address)) tell(caf::actor_cast<directory_handle>(to), roles_changed{});
            });
    }

    cluster_counters so_far() const {
        const auto& r = carrier_->board().refused;
        cluster_counters c;
        c.refused_handshakes = r.handshakes, c.refused_names = r.names, c.refused_frames = r.frames, c.refused_offers = r.offers;
        c.handshake_turns = r.turns;
        c.lost_links = r.lost, c.failed_requests = who_->failed_requests();
        return c;
    }

    roster& who() { return *who_; }
    const link_board& shown() const { return *shown_; }
    std::uint16_t port() const { return carrier_->port(); }

private:
    // It is waited for: it holds the carrier, whose threads must not outlive us.
    void end_directory() {
        caf::scoped_actor self(sys_);
        self->send_exit(directory_, caf::exit_reason::kill);
        self->wait_for(directory_);
        directory_ = nullptr;
    }

    caf::actor_system& sys_;
    std::shared_ptr<roster> who_;
    std::shared_ptr<link_board> shown_;
    directory_handle directory_;
    std::shared_ptr<class carrier> carrier_;
};

cluster::cluster(caf::actor_system& sys, cluster_options o, std::function<instant()> now) : impl_(std::make_shared<impl>(sys, o, std::move(now))) {}
cluster::~cluster() = default;

void cluster::offer(const std::string& role, caf::strong_actor_ptr who) { impl_->offer(role, who); }
std::vector<link_view> cluster::links() const { return impl_->shown().all(); }
cluster_counters cluster::so_far() const { return impl_->so_far(); }
std::uint16_t cluster::port() const { return impl_->port(); }
caf::strong_actor_ptr cluster::find_any(const std::string& role, const std::string& owner) { return impl_->who().find(role, owner); }
std::map<std::string, caf::strong_actor_ptr> cluster::all_of(const std::string& role, const std::string& owner) { return impl_->who().all(role, owner); }

} // namespace souk
