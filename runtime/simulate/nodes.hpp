// Nodes of a simulated market: the actors that ship, on a disk, a network, a rail and a cloud that fail. A node that is killed loses its
// memory; what is on its disk, in its repository and in its cloud stays.
#pragma once
#include <souk/actors/bidder/bidder.hpp>
#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/fleet/fleet.hpp>
#include <souk/actors/issuer/issuer.hpp>
#include <souk/actors/launcher/launcher.hpp>
#include <souk/actors/offerings/crier.hpp>
#include <souk/actors/offerings/finder.hpp>
#include <souk/actors/payments/payments.hpp>
#include <souk/actors/policy/policy.hpp>
#include <souk/actors/requester/requester.hpp>
#include <souk/actors/signer/signer.hpp>
#include <souk/runtime/simulate/books.hpp>
#include <souk/runtime/simulate/cloud.hpp>
#include <souk/runtime/simulate/disk.hpp>
#include <souk/runtime/simulate/folio.hpp>
#include <souk/runtime/simulate/rail.hpp>

namespace souk::simulate {

class node {
public:
    node(universe& u, std::string name);
    virtual ~node();
    void start();
    void kill(const std::string& why);
    bool up() const { return *life_; }
    const std::string& name() const { return name_; }
    const disk& log() const { return disk_; }
    disk& log() { return disk_; }
    const folio& money() const { return folio_; } // its books

protected:
    virtual void open() = 0;  // spawns its roles
    virtual void close() = 0; // lets go of their handles, and of what they left on its disks unfinished
    void restart(const std::string& why); // killed, and started again a little later

    std::shared_ptr<bookkeeper> keep_books(const keyring&, payment_rail&); // of whoever has a wallet, while this process lives
    std::function<instant()> clock(); // its own, which may go wrong
    template <class T, class... Args>
    T& keep(Args&&... args) { // what actors stand on: kept to the end, since answers on their way still point to it
        auto made = std::make_shared<T>(std::forward<Args>(args)...);
        auto& it = *made;
        kept_.push_back(std::move(made));
        return it;
    }
    template <class T>
    T& keep(std::unique_ptr<T> made) {
        auto& it = *made;
        kept_.push_back(std::shared_ptr<T>(std::move(made)));
        return it;
    }
    template <class Handle>
    Handle cast(Handle h) {
        cast_.push_back(caf::actor_cast<caf::strong_actor_ptr>(h));
        return h;
    }
    universe& u_;
    std::string name_;
    life life_ = std::make_shared<bool>(false);
    disk disk_;
    folio folio_{u_};

private:
    void live_dangerously();
    void bring_up(const std::shared_ptr<bookkeeper>&);
    std::chrono::milliseconds skew_{0};
    std::vector<caf::strong_actor_ptr> cast_;
    std::vector<std::shared_ptr<void>> kept_;
};

struct party { // whom a node acts for, with the same keys in every universe
    std::string name, did;
    const keyring* keys = nullptr;
    std::optional<jwt::rs256_signer> issuing; // of workload tokens, by whoever sells
    std::string door() const { return "https://" + name + ".example"; }
    did_document document() const;
};

class relay;

class buyer final : public node {
public:
    buyer(universe&, books&, chain&, const party&);
    // The relay that may write its machines' keys, for so long at a time. Before it starts.
    void lets(relay& r, std::chrono::seconds grant_life) { relay_ = &r, grant_life_ = grant_life; }
    const party& who() const { return who_; }
    void speaks(dialect d) { speaks_ = d; } // before it starts
    void streams() { streams_ = true; }     // pays contracts while they run, where sellers take that. Before it starts
    void reads(const std::string& seller) { sellers_.push_back(seller); }
    // Somebody whom a host lists: his offerings are read now, and every 20 s. Before it starts.
    void seeks(const std::string& seller) { listed_.push_back(seller); }
    offerings_actor offerings() const { return offerings_; }
    void answers(const std::string& did) { may_ask_.insert(did); } // what her policy says. Before it starts
    void order(buy what);                                 // says it until it is kept
    void stop(const std::string& id, const std::string& why); // as well
    void believes(const std::string& about, const char* kind); // written, and its policy engine hears of it, as `souk vouch` does
    std::size_t ordered() const { return kept_orders_; }
    requester_actor requester() const { return requester_; }
    const shelf& records() const { return shelf_; }
    shelf& records() { return shelf_; }
    purchase::state purchase_of(const std::string& id) const;

private:
    void open() override;
    void close() override;

    books& books_;
    chain& chain_;
    const party& who_;
    shelf shelf_;
    void look_at_lists();

    std::vector<std::string> sellers_, listed_;
    offerings_actor offerings_;
    std::set<std::string> may_ask_;
    std::map<std::string, std::int64_t> cursors_; // on disk
    relay* relay_ = nullptr;
    dialect speaks_ = dialect::g1;
    bool streams_ = false;
    std::chrono::seconds grant_life_{};
    requester_actor requester_;
    policy_actor policy_;
    std::size_t kept_orders_ = 0;
};

class fleet_host final : public node {
public:
    fleet_host(universe&, std::string name, compute::size capacity);
    bool is_away() const { return u_.now() < away_until_; }
    launcher_actor launcher() const { return up() && !is_away() ? launcher_ : launcher_actor{}; }
    void cut_off(instant until) { away_until_ = until; }
    // Whom its machines' boot tokens are from, and where they are traded. Before it starts; without, machines have none.
    void boots_with(std::function<issuer_actor()> issuer, std::string base_url) { issuer_ = std::move(issuer), base_url_ = std::move(base_url); }
    const cloud& machines() const { return cloud_; }
    cloud& machines() { return cloud_; }
    const compute::size& capacity() const { return capacity_; }

private:
    void open() override;
    void close() override;

    compute::size capacity_;
    cloud cloud_;
    launcher_actor launcher_;
    std::function<issuer_actor()> issuer_;
    std::string base_url_;
    instant away_until_{};
};

class seller final : public node {
public:
    struct offer {
        std::string cost;
        std::int64_t slice = 0;
    };
    seller(universe&, books&, chain&, const party&, offer, std::vector<fleet_host*> hosts);
    void reads(const std::string& buyer) { buyers_.push_back(buyer); }
    void stop(const std::string& lease, const std::string& why); // says it until it is kept
    void issues_tokens();                                        // to its hosts' machines. Before it starts
    void streams(std::chrono::seconds step, std::chrono::seconds grace) { step_ = step, grace_ = grace; } // takes channels. Before it starts
    void offers(bool so) { offers_ = so; }                       // says to everyone what it sells, or takes that back. Before it starts
    const shelf& records() const { return shelf_; }
    shelf& records() { return shelf_; }
    const party& who() const { return who_; }
    const std::vector<fleet_host*>& hosts() const { return hosts_; }

private:
    void open() override;
    void close() override;

    books& books_;
    chain& chain_;
    const party& who_;
    offer offer_;
    std::vector<fleet_host*> hosts_;
    shelf shelf_;
    std::vector<std::string> buyers_;
    std::map<std::string, std::int64_t> cursors_; // on disk
    bidder_actor bidder_;
    std::chrono::seconds step_{0}, grace_{0};
    std::optional<bool> offers_;
    bool issues_ = false;
    issuer_actor issuer_; // of the last process, too: it says nothing, and that is heard at once
    issuer_actor nobody_; // whom a host finds that is cut off
};

} // namespace souk::simulate
