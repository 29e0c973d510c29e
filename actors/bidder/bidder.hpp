// Bob's side of the market: what he bids on, on what terms, and the paid URL.
#pragma once
#include <souk/actors/bidder/lease.hpp>
#include <souk/actors/common/service_call.hpp>
#include <souk/actors/entity/entity_actor.hpp>
#include <souk/backends/records/network.hpp>

namespace souk {

class bookkeeper;

struct bidder_options {
    std::string did;
    std::string door;                    // of this node, "https://host:port": the paid URL's base
    std::string cost = "0.06";           // whole units of currency, a period
    std::string currency = "USDC", frequency = "hourly";
    std::optional<std::int64_t> slice;   // seconds that one payment buys; none: a period
    std::chrono::seconds bid_life{600};
    souk::wif wif;
    std::string actx;                    // this provider's account, in subjects
    std::optional<place> location;
    std::string tier = "none";
    std::vector<std::string> rules;      // policy on whom to bid for; empty: the policy engine's own
    std::size_t largest_user_data = 64 * 1024;
    std::chrono::milliseconds answer_within{25'000}; // the paid URL answers 202 after that
    std::function<instant()> now;
    std::size_t shards = 2;
    on_trouble trouble; // of effects that did not come off; may be empty
    std::shared_ptr<bookkeeper> books; // told who is behind a contract; may be empty
    service::ports calls; // to requests' submitBid; without a key none are made
    // Where contracts may be paid from channels, while they run: so often they are metered, and so much is promised at least; how long one goes on when
    // nothing more is promised. Its promises are taken by `bidder_roles::channels`.
    std::chrono::seconds step{60}, grace{30};
    bool streams = true; // else only what was begun so goes on
};

struct bidder_roles {
    signer_actor signer;
    policy_actor policy;   // may be empty: bids for everyone
    payments_actor payments;
    fleet_actor fleet;
    channels_actor channels; // may be empty: nothing is paid from channels
};

// Key of this bidder's bid on a request: the same request gives the same key, so that seeing it twice is bidding once. Two requests
// may have the same content, so its name is part of it.
std::string bid_key(const strong_ref& rfp, const std::string& bidder);
// What this bidder would say to a request: the terms of a lease, or why not. Pure.
result<lease::terms> terms_for(const bidder_options&, const strong_ref& rfp, const std::string& author, const spoken<ccrfp>& request);
// The service that answers are sent to, where a generation names one: this node's door.
inline std::string service_of(dialect d, const std::string& door) { return d == dialect::g4 ? door : std::string(); }

// The effects of leases, by way of the other roles.
class lease_world final : public performer<lease> {
public:
    lease_world(caf::actor_system& sys, bidder_options options, bidder_roles roles) : sys_(sys), options_(std::move(options)), roles_(std::move(roles)) {}
    void perform(const lease::reserve&, reply_to<lease::reserve>) override;
    void perform(const lease::publish_bid&, reply_to<lease::publish_bid>) override;
    void perform(const lease::tell_bid&, reply_to<lease::tell_bid>) override;
    void perform(const lease::settle&, reply_to<lease::settle>) override;
    void perform(const lease::launch&, reply_to<lease::launch>) override;
    void perform(const lease::publish_receipt&, reply_to<lease::publish_receipt>) override;
    void perform(const lease::watch&, reply_to<lease::watch>) override;
    void perform(const lease::terminate&, reply_to<lease::terminate>) override;
    void perform(const lease::refund&, reply_to<lease::refund>) override;
    void perform(const lease::publish_statement&, reply_to<lease::publish_statement>) override;
    void perform(const lease::draw&, reply_to<lease::draw>) override;
    void perform(const lease::meter&, reply_to<lease::meter>) override;
    void perform(const lease::settle_up&, reply_to<lease::settle_up>) override;
    void perform(const lease::return_rest&, reply_to<lease::return_rest>) override;

private:
    void take(const lease::draw&, const octets& voucher, bool filled, reply_to<lease::draw>);
    void send(std::string_view method, const std::string& key, const std::string& service, const signed_record&);

    caf::actor_system& sys_;
    bidder_options options_;
    bidder_roles roles_;
};

bidder_actor spawn_bidder(caf::actor_system&, bidder_options, bidder_roles, journal&, record_network&, performer<lease>&);

} // namespace souk
