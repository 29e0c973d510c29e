// Calls to services that records name: market.submitBid and its like. What they carry can be had from the stream, too, so nothing waits for them:
// they make it sooner, and reach those who follow no stream.
#pragma once
#include <chrono>
#include <functional>
#include <set>
#include <string>

#include <souk/actors/entity/entity.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/messages/jwt.hpp>

namespace souk::service {

inline constexpr std::string_view submit_rfp = "com.publicdomainrelay.temp.market.submitRfp", submit_bid = "com.publicdomainrelay.temp.market.submitBid",
                                  submit_accept = "com.publicdomainrelay.temp.market.submitAccept", submit_event = "com.publicdomainrelay.temp.market.submitEvent",
                                  register_bidder = "com.publicdomainrelay.temp.market.registerBidder", list_bidders = "com.publicdomainrelay.temp.market.listBidders";
inline constexpr const char* market_id = "pdr_temp_market"; // of the service, in a DID document
inline constexpr std::chrono::seconds token_life{60}, longest_token{300};

// did:web of a door, "https://host:port": the port's colon is written %3A. Code "bad_service".
result<std::string> did_of_door(const std::string& url);

// -- who calls -------------------------------------------------------------------------------------------------------------

struct ports {
    std::string did;
    const crypto::secret* key = nullptr; // this account's signing key
    http::fetcher web;
    std::function<void(const std::string& did, std::function<void(result<did_document>)>)> resolve;
    std::function<instant()> now;
};
// POSTs `body` to a service: "https://host", or "DID#id", which is where the DID's document says, else where that account's records are. Codes "bad_service", and those of looking up
// and of HTTP; an answer of any status is an answer.
void call(const ports&, const std::string& service, std::string_view method, const value& body, std::function<void(result<http::response>)> then);

// What came of one that is to be taken up: 200 is done; what no second try would make good has failed; the rest is not known, and is asked again.
verdict verdict_of(const result<http::response>&);

// -- who is called ---------------------------------------------------------------------------------------------------------

struct claims { // of a token, before its signature is checked: enough to know whose keys to look up
    std::string issuer, audience;
};
// `ours`: the DIDs that this node answers to; a token names one of them, with or without "#id". Refuses what no signature would make good: "bad_token",
// "wrong_audience", "wrong_method", "token_expired", "token_not_yet", "token_too_long_lived". So a stranger's nonsense costs no look-up.
result<claims> peek(std::string_view token, const std::set<std::string>& ours, std::string_view method, instant now);
// Whether that account signed it. Codes of jwt::verify_es256k.
result<void> verify(std::string_view token, const claims&, const std::vector<crypto::public_key>& keys, std::string_view method, instant now);

} // namespace souk::service
