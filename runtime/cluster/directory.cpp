#include <souk/runtime/cluster/directory.hpp>

#include <algorithm>

#include <caf/io/basp_broker.hpp>

namespace souk::carrier {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t most_roles = 256, longest_name = 128;

bool is_name(const std::string& s) {
    return !s.empty() && s.size() <= longest_name && std::ranges::all_of(s, [](char c) { return c > ' ' && c < '\x7f'; });
}

class directory {
public:
    using handle = directory_handle;
    static constexpr const char* name = "souk.directory";

    directory(handle::pointer self, directory_parts parts) : self_(self), parts_(std::move(parts)) {}

    handle::behavior_type make_behavior() {
        return {
            [this](const offers& o) -> caf::result<offers> { return heard(o); },
            [this](const begin& b) { start(b.by); },
            [this](const link_lost& l) { lost(l.which); },
            [this](const roles_changed&) { push(); },
            [](const turn& t) { t.run(); },
        };
    }

private:
    struct node {
        link_state state;
        std::optional<cluster_options::peer> where; // when it is ours to dial
        link_ptr by;
        directory_actor theirs;
        link_view view;
    };

    // -- links coming and going ------------------------------------------------------------------------------------------

    void start(std::shared_ptr<carrier> by) {
        carrier_ = std::move(by);
        for (const auto& p : parts_.options.peers) known(p.node).where = p;
        for (const auto& p : parts_.options.peers) act(p.node, known(p.node).state.start());
        tick();
    }

    void tick() {
        carrier_->board().table.sweep(steady::now());
        parts_.who->prune();
        later(std::clamp(limits().heartbeat / 2, milliseconds{20}, milliseconds{1'000}), [this] { tick(); });
    }

    node& known(const std::string& who) {
        if (const auto at = nodes_.find(who); at != nodes_.end()) return at->second;
        const auto& peers = parts_.options.peers;
        const bool ours = std::ranges::any_of(peers, [&](const auto& p) { return p.node == who; });
        const auto seed = std::hash<std::string>{}(parts_.options.node + '>' + who);
        auto& n = nodes_.emplace(who, node{{limits().redial_first, limits().redial_at_most, ours, seed}, {}, {}, {}, {}}).first->second;
        n.view.node = who, n.view.state = "down", n.view.since = parts_.now();
        return n;
    }

    void act(const std::string& who, const link_state::step& s) {
        if (s.wait) later(*s.wait, [this, who, which = s.which] { act(who, known(who).state.timer(which)); });
        if (s.dial) dial(who);
        show(who);
    }

    void dial(const std::string& who) {
        carrier_->dial(*known(who).where, [this, me = caf::weak_actor_ptr(self_->ctrl()), who](auto r) {
            if (const auto self = me.lock())
                tell(caf::actor_cast<handle>(self), turn{[this, who, r = std::make_shared<decltype(r)>(std::move(r))] {
                         r->has_value() ? connected(who, (*r)->first, std::move((*r)->second)) : failed(who, nullptr, r->error().text);
                     }});
        });
    }

    void connected(const std::string& who, const link_ptr& by, caf::io::scribe_ptr scribe) {
        request(*self_, carrier_->broker(), limits().dial_within, caf::connect_atom_v, std::move(scribe), known(who).where->port)
            .then(
                [this, who, by](const caf::node_id&, const caf::strong_actor_ptr& at, const std::set<std::string>& speaks) {
                    const auto& sys = self_->home_system();
                    if (!at || !sys.assignable(speaks, sys.message_types(caf::detail::type_list<directory_actor>{})))
                        return failed(who, by, "what answers there is no directory of this protocol");
                    greet(who, by, caf::actor_cast<directory_actor>(at));
                },
                [this, who, by](const caf::error& e) { failed(who, by, by->ended() ? by->why() : reason(e)); });
    }

    void greet(const std::string& who, const link_ptr& by, const directory_actor& theirs) {
        request(*self_, theirs, limits().dial_within, parts_.who->ours())
            .then(
                [this, by, theirs](const offers& o) {
                    const auto why = fault(o, by, caf::actor_cast<caf::strong_actor_ptr>(theirs)->node());
                    if (!why.empty()) return refuse(by, why, milliseconds{0});
                    take(by, theirs, o);
                },
                [this, who, by](const caf::error& e) {
                    if (e != caf::sec::invalid_argument) return failed(who, by, by->ended() ? by->why() : reason(e));
                    refuse(by, "refused by " + who + ": " + reason(e), milliseconds{0});
                });
    }

    void failed(const std::string& who, const link_ptr& by, const std::string& why) {
        if (by) by->cut(why);
        act(who, known(who).state.failed(why));
    }

    void lost(const link_ptr& by) {
        auto& n = known(by->node);
        if (n.by != by) return; // never up: whoever dialled hears of it otherwise
        n.by = nullptr, n.theirs = nullptr;
        parts_.who->left(by->node);
        n.view.since = parts_.now(), n.view.roles.clear();
        act(by->node, n.state.lost(by->id, by->why()));
    }

    // -- offers --------------------------------------------------------------------------------------------------------------

    caf::result<offers> heard(const offers& o) {
        const auto from = self_->current_sender();
        if (!from || !carrier_ || from->node() == self_->node()) return caf::make_error(caf::sec::invalid_argument, "offers from nowhere");
        const auto by = carrier_->board().table.speaking_as(caf::to_string(from->node()));
        if (!by) return caf::make_error(caf::sec::invalid_argument, "offers over no link");
        if (const auto why = fault(o, by, from->node()); !why.empty()) {
            refuse(by, why, limits().heartbeat); // the answer goes first
            return caf::make_error(caf::sec::invalid_argument, why);
        }
        take(by, caf::actor_cast<directory_actor>(from), o);
        return parts_.who->ours();
    }

    // The link's name is the certificate's, and the node id was bound to it at the handshake: nothing that the offers say of
    // themselves is believed unless it agrees.
    std::string fault(const offers& o, const link_ptr& by, const caf::node_id& from) const {
        if (o.protocol != cluster_protocol)
            return "it speaks protocol " + std::to_string(o.protocol) + " and this node protocol " + std::to_string(cluster_protocol);
        if (o.node != by->node) return "it calls itself " + (is_name(o.node) ? o.node : "nothing") + " but its certificate names " + by->node;
        if (!is_name(o.owner)) return "it does not say whose it is";
        if (o.roles.size() != o.handles.size() || o.roles.size() > most_roles) return "its offers are out of shape";
        if (!std::ranges::all_of(o.roles, is_name)) return "one of its roles has no name";
        if (!std::ranges::all_of(o.handles, [&](const auto& h) { return h && h->node() == from; })) return "it offers actors that are not its own";
        return {};
    }

    void take(const link_ptr& by, const directory_actor& theirs, const offers& o) {
        if (by->ended()) return;
        auto& n = known(by->node);
        if (n.by != by) {
            n.by = by, n.theirs = theirs;
            n.view.since = parts_.now();
            by->greet();
            watch(by, theirs);
            act(by->node, n.state.up(by->id, by->dialled));
        }
        roster::roles hosts;
        for (std::size_t i = 0; i < o.roles.size(); ++i) hosts[o.roles[i]] = o.handles[i];
        parts_.who->arrived(o.node, o.owner, std::move(hosts));
        n.view.owner = o.owner, n.view.roles = o.roles;
        show(by->node);
    }

    // A directory that ends while its link lives leaves a node that nobody can speak for: begin afresh.
    void watch(const link_ptr& by, const directory_actor& theirs) {
        caf::actor_cast<caf::strong_actor_ptr>(theirs)->get()->attach_functor([weak = std::weak_ptr(by)](const caf::error&) {
            if (const auto l = weak.lock()) l->cut("its directory ended");
        });
    }

    void refuse(const link_ptr& by, const std::string& why, milliseconds cut_after) {
        ++carrier_->board().refused.offers;
        if (cut_after.count() == 0)
            by->cut(why);
        else
            later(cut_after, [by, why] { by->cut(why); });
        auto& n = known(by->node);
        if (n.by == by) lost(by);
        act(by->node, n.state.refused(why, by->dialled));
    }

    void push() {
        const auto o = parts_.who->ours();
        for (auto& [who, n] : nodes_)
            if (n.theirs)
                request(*self_, n.theirs, limits().dial_within, o)
                    .then([](const offers&) {}, [by = n.by](const caf::error&) { by->cut("it did not take this node's offers"); });
    }

    // -- all ---------------------------------------------------------------------------------------------------------------------

    void show(const std::string& who) {
        auto& n = known(who);
        const auto now = n.state.now();
        n.view.state = now == link_state::phase::up ? "up" : now == link_state::phase::dialling ? "dialling" : "down";
        n.view.why = n.state.why();
        n.view.address = n.where ? n.where->host + ":" + std::to_string(n.where->port) : n.by ? n.by->address : n.view.address;
        parts_.shown->put(n.view);
        if (parts_.options.on_link) parts_.options.on_link(n.view);
    }

    std::string reason(const caf::error& e) const {
        if (e == caf::sec::request_timeout) return "no answer in time";
        if (e == caf::sec::invalid_argument && e.context().match_elements<std::string>()) return e.context().get_as<std::string>(0);
        return self_->home_system().render(e);
    }

    template <class F>
    void later(milliseconds wait, F f) {
        send_after(*self_, handle(self_), wait, turn{std::move(f)});
    }
    const cluster_limits& limits() const { return parts_.options.limits; }

    handle::pointer self_;
    directory_parts parts_;
    std::shared_ptr<carrier> carrier_;
    std::map<std::string, node> nodes_;
};

} // namespace

void link_board::put(link_view v) {
    const std::lock_guard lock(mutex_);
    auto at = v.node;
    views_[std::move(at)] = std::move(v);
}

std::vector<link_view> link_board::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<link_view> out;
    for (const auto& entry : views_) out.push_back(entry.second);
    return out;
}

directory_handle spawn_directory(caf::actor_system& sys, directory_parts parts) {
    return sys.spawn<actor_of<directory>>(std::move(parts));
}

} // namespace souk::carrier
