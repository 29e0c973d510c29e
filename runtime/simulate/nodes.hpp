// Nodes of a simulated market: the actors that ship, on a disk, a network, a rail and a cloud that fail. A node that is killed loses its
// memory; what is on its disk, in its repository and in its cloud stays.
#pragma once
#include <souk/actors/bidder/bidder.hpp>
#include <souk/actors/fleet/fleet.hpp>
#include <souk/actors/launcher/launcher.hpp>
#include <souk/actors/payments/payments.hpp>
#include <souk/actors/policy/policy.hpp>
#include <souk/actors/requester/requester.hpp>
#include <souk/actors/signer/signer.hpp>
#include <souk/runtime/simulate/books.hpp>
#include <souk/runtime/simulate/cloud.hpp>
#include <souk/runtime/simulate/disk.hpp>
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

protected:
    virtual void open() = 0;  // spawns its roles
    virtual void close() = 0; // lets go of their handles, and of what they left on its disks unfinished
    void restart(const std::string& why); // killed, and started again a little later

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

private:
    void live_dangerously();
    std::chrono::milliseconds skew_{0};
    std::vector<caf::strong_actor_ptr> cast_;
    std::vector<std::shared_ptr<void>> kept_;
};

struct party { // whom a node acts for, with the same keys in every universe
    std::string name, did;
    const keyring* keys = nullptr;
    did_document document() const;
};

class buyer final : public node {
public:
    buyer(universe&, books&, chain&, const party&);
    void reads(const std::string& seller) { sellers_.push_back(seller); }
    void order(buy what);                                 // says it until it is kept
    void stop(const std::string& id, const std::string& why); // as well
    std::size_t ordered() const { return kept_orders_; }
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
    std::vector<std::string> sellers_;
    std::map<std::string, std::int64_t> cursors_; // on disk
    requester_actor requester_;
    std::size_t kept_orders_ = 0;
};

class fleet_host final : public node {
public:
    fleet_host(universe&, std::string name, compute::size capacity);
    launcher_actor launcher() const { return up() && u_.now() >= away_until_ ? launcher_ : launcher_actor{}; }
    void cut_off(instant until) { away_until_ = until; }
    const cloud& machines() const { return cloud_; }
    cloud& machines() { return cloud_; }
    const compute::size& capacity() const { return capacity_; }

private:
    void open() override;
    void close() override;

    compute::size capacity_;
    cloud cloud_;
    launcher_actor launcher_;
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
};

} // namespace souk::simulate
