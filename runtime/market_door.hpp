// The market's calls: com.publicdomainrelay.temp.market.submitRfp, submitBid, submitAccept, submitEvent, registerBidder, listBidders,
// evaluatePolicy. Who calls
// proves who he is with a service token (ES256K; issuer, audience, method, 60 s). What he says is not believed for that: a record is fetched by its
// URI and CID, or its given bytes have to make the CID, and then it goes the way that a record from a stream goes, signature and all.
#pragma once
#include <functional>
#include <set>

#include <souk/backends/http/server.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

class market_door {
public:
    struct parts { // what is absent answers that it is
        caf::actor_system* sys = nullptr;
        std::function<instant()> now;
        std::string did, public_url;
        repository* own = nullptr;
        record_network* net = nullptr; // also: whose keys are whose
        bidder_actor bidder;
        requester_actor requester;
        bool registry = false; // whether bidders may register here
        offerings_actor offerings = {}; // who are listed beside those who did
        policy_actor policy = {};
        std::set<std::string> may_ask = {}; // that policy: DIDs
    };
    explicit market_door(parts p);

    //   POST submitRfp {rfpUri, rfpCid}            -> {ok}; the bid comes by the stream, and to the request's submitBid
    //   POST submitBid, submitEvent {uri, cid, record} -> {ok}
    //   POST submitAccept {acceptUri, acceptCid}   -> what the paid URL says: 402 with the demand, 202, or {id, uri, cid, submitEvent} of the receipt
    //   POST registerBidder {bidderDid, appliesTo} -> {ok, registrationUri, registrationCid}
    //   GET  listBidders?payloadNsid&maxResults&cursor -> {bidders, cursor}
    //   POST evaluatePolicy {subjectDid, ...}      -> policy_door
    // Errors: InvalidRequest, Unauthorized (401), Forbidden (403): the caller is not the record's author.
    static bool is_one(const http::request&);
    void answer(const http::request&, http::responder) const;

    static constexpr std::size_t most_registered = 10'000;

private:
    struct state;
    std::shared_ptr<state> s_; // kept by answers that are on their way
};

} // namespace souk
