#include <souk/runtime/cluster/carrier.hpp>

#include <csignal>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>

namespace souk::carrier {

namespace {

std::atomic<link_id> last_link = 0;

std::set<std::string> may_dial(const cluster_options& o) {
    std::set<std::string> names(o.allowed.begin(), o.allowed.end());
    for (const auto& p : o.peers) names.insert(p.node);
    return names;
}

std::shared_ptr<switchboard> make_board(caf::actor_system& sys, const cluster_options& o, std::function<void(const link_ptr&)> lost) {
    if (!sys.has_middleman()) throw std::runtime_error("the actor system was not prepared for a cluster: call souk::prepare on its configuration");
    auto board = std::make_shared<switchboard>(o.node, caf::to_string(sys.node()), o.limits);
    board->lost = std::move(lost);
    return board;
}

} // namespace

carrier::carrier(caf::actor_system& sys, const cluster_options& o, caf::strong_actor_ptr directory, std::set<std::string> interface,
                 std::function<void(const link_ptr&)> lost)
    : sys_(sys), board_(make_board(sys, o, std::move(lost))), credentials_(o.node, o.certificate, o.key, o.authority, may_dial(o)),
      broker_(sys.middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"))) {
    std::signal(SIGPIPE, SIG_IGN); // OpenSSL writes without MSG_NOSIGNAL
    const auto taken = [this, directory, interface](authenticated a) {
        link_ptr l;
        caf::io::scribe_ptr scribe;
        if (!admit(sys_, board_, false, std::move(a), l, scribe).empty()) return;
        caf::anon_send(broker_, caf::publish_atom_v, std::move(scribe), handshakes_->port(), directory, interface);
    };
    handshakes_ = std::make_unique<handshakes>(o, credentials_, board_->table, board_->refused, taken);
    handshakes_->start();
}

carrier::~carrier() {
    handshakes_.reset();
    board_->table.cut_all("this node leaves the cluster");
}

std::string carrier::admit(caf::actor_system& sys, const std::shared_ptr<switchboard>& board, bool by_us, authenticated a, link_ptr& l,
                           caf::io::scribe_ptr& scribe) {
    const auto now = steady::now();
    l = std::make_shared<node_link>(++last_link, a.node, a.address, by_us, a.socket.get(), now);
    auto why = board->table.admit(l, now);
    if (!why.empty()) {
        l->released();
        return why;
    }
    scribe = make_scribe(sys, board, l, std::move(a));
    return {};
}

void carrier::dial(const cluster_options::peer& peer, dialled then) {
    if (!board_->table.begin_dial(peer.node)) return then(refusal{"no_link", "there is a link or a dial to " + peer.node + " already"});
    handshakes_->dial(peer, [&sys = sys_, board = board_, node = peer.node, then = std::move(then)](result<authenticated> r) {
        if (!r) {
            board->table.end_dial(node);
            return then(r.error());
        }
        link_ptr l;
        caf::io::scribe_ptr scribe;
        if (auto why = admit(sys, board, true, std::move(*r), l, scribe); !why.empty()) return then(refusal{"no_link", std::move(why)});
        then(std::pair{std::move(l), std::move(scribe)});
    });
}

} // namespace souk::carrier
