// The market's calls, between the nodes that ship: who may make them, what of them is believed, and a contract that needs no stream.
#include <souk/actors/common/service_call.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/json.hpp>

#include "little_market.hpp"

namespace {

const std::string at_bob = "https://bob.example", at_alice = "https://alice.example";

struct with_calls : little_market {
    explicit with_calls(bool streams = true) : little_market({2, 4096, 65'536}, 600, dialect::g4, streams) {}

    // As the claims of a good token by `who`, unless changed.
    std::string token(const party& who, std::string_view method, const std::string& audience = "did:web:bob.example#pdr_temp_market", std::chrono::seconds age = 0s,
                      const party* signed_by = nullptr) {
        const auto now = std::chrono::floor<std::chrono::seconds>((u.now() - age).time_since_epoch()).count();
        return jwt::sign_es256k({{"iss", who.did}, {"aud", audience}, {"lxm", std::string(method)}, {"iat", now}, {"exp", now + 60}}, (signed_by ? *signed_by : who).keys->signing()).value();
    }
    http::response call(http::call c) {
        std::optional<result<http::response>> got;
        c.within = 60s;
        net.web_of("did:web:caller.example", visitor)(std::move(c), [&](result<http::response> r) { got = std::move(r); });
        REQUIRE(soon([&] { return got.has_value(); }));
        REQUIRE(got->has_value());
        return got->value();
    }
    http::response post(const std::string& to, std::string_view method, const value& body, const std::string& bearer) {
        http::call c;
        c.method = "POST", c.url = to + "/xrpc/" + std::string(method), c.body = to_json(body, json_form::atproto);
        if (!bearer.empty()) c.head.set("Authorization", "Bearer " + bearer);
        return call(std::move(c));
    }
    value rfp_named() {
        const auto r = alice.records().list(std::string(market::rfp::nsid), 1, "", false).at(0);
        return value::map{{"rfpUri", r.uri.text()}, {"rfpCid", r.cid.text()}};
    }
};

std::string error_of(const http::response& r) {
    const auto body = from_json(r.body);
    return std::to_string(r.status) + ' ' + std::string(body ? body->text("error") : "");
}

} // namespace

TEST_CASE("a contract of the fourth generation needs no stream: each record is sent to the service that the one before it names") {
    with_calls s(false);
    s.wants("p");
    s.pass(500ms);
    REQUIRE(s.alice.records().count(std::string(market::rfp::nsid)) == 1);
    CHECK(s.bob.records().count(std::string(market::bid::nsid)) == 0); // nobody told him
    CHECK(s.post(at_bob, service::submit_rfp, s.rfp_named(), s.token(everyone().alice, service::submit_rfp)).status == 200);
    REQUIRE(s.reaches("p", purchase::phase::active));
    CHECK(s.machines() == 1);
    REQUIRE(s.reaches("p", purchase::phase::closed));
    CHECK(s.spent() == for_ten_minutes);
}

TEST_CASE("service JWT decoded without verification: a call counts for who signed its token, to whom it is, and for which method") {
    with_calls s(false);
    s.wants("p");
    s.pass(500ms);
    const auto& alice = everyone().alice;
    const auto body = s.rfp_named();
    const auto said = [&](const std::string& bearer) { return error_of(s.post(at_bob, service::submit_rfp, body, bearer)); };
    CHECK(said("") == "401 Unauthorized");
    CHECK(said("nonsense") == "401 Unauthorized");
    CHECK(said(s.token(alice, service::submit_rfp, "did:web:bob.example", 0s, &everyone().bob)) == "401 Unauthorized"); // in her name, by another's key
    CHECK(said(s.token(alice, service::submit_rfp, "did:web:carol.example")) == "401 Unauthorized");
    CHECK(said(s.token(alice, service::submit_accept)) == "401 Unauthorized");
    CHECK(said(s.token(alice, service::submit_rfp, "did:web:bob.example", 120s)) == "401 Unauthorized");
    CHECK(said(s.token(everyone().bob, service::submit_rfp)) == "403 Forbidden"); // who he says he is, but not her
    s.pass(10s);
    CHECK(s.bob.records().count(std::string(market::bid::nsid)) == 0); // none of that was taken for her word
    CHECK(said(s.token(alice, service::submit_rfp, "did:web:bob.example")) == "200 ");
}

TEST_CASE("what is sent is what its CID names, or it is not taken") {
    with_calls s(false);
    s.wants("p");
    s.pass(500ms);
    const auto& alice = everyone().alice;
    const auto say = [&](std::string_view method, const value& body) { return error_of(s.post(at_bob, method, body, s.token(alice, method))); };
    const auto rfp = s.alice.records().list(std::string(market::rfp::nsid), 1, "", false).at(0);
    CHECK(say(service::submit_rfp, value::map{{"rfpUri", rfp.uri.text()}}) == "400 InvalidRequest");
    CHECK(say(service::submit_rfp, value::map{{"rfpUri", rfp.uri.text()}, {"rfpCid", cid::of_raw("another").text()}}) == "400 InvalidRequest");
    CHECK(say(service::submit_rfp, value::map{{"rfpUri", "at://" + alice.did + "/app.bsky.feed.post/k"}, {"rfpCid", rfp.cid.text()}}) == "400 InvalidRequest");
    CHECK(say(service::submit_accept, value::map{{"acceptUri", rfp.uri.text()}, {"acceptCid", rfp.cid.text()}}) == "400 InvalidRequest");
    const value event = value::map{{"$type", market::event::nsid}, {"receipt", to_value(strong_ref{rfp.uri.text(), rfp.cid.text()})}, {"payload", to_value(strong_ref{rfp.uri.text(), rfp.cid.text()})}};
    const auto uri = "at://" + alice.did + '/' + std::string(market::event::nsid) + "/k";
    CHECK(say(service::submit_event, value::map{{"uri", uri}, {"cid", rfp.cid.text()}, {"record", event}}) == "400 InvalidRequest");
    CHECK(say(service::submit_event, value::map{{"uri", uri}, {"cid", cid_of(event).text()}, {"record", event}}) == "200 "); // taken up; and, unsigned, not believed
    CHECK(error_of(s.post(at_bob, service::submit_bid, value::map{}, "")) == "404 not_found");
    CHECK(error_of(s.post(at_alice, service::submit_rfp, value::map{}, "")) == "404 not_found");
}

TEST_CASE("record swapped after signing: a bid that was changed, or that nobody signed, is not gathered, whoever sends it") {
    with_calls s;
    s.window = 20'000ms;
    s.wants("p");
    s.pass(10s);
    const auto bid = s.bob.records().list(std::string(market::bid::nsid), 1, "", false).at(0);
    REQUIRE(s.alice.purchase_of("p").offers.size() == 1);
    const auto send = [&](value record, const std::string& rkey) {
        const auto uri = "at://" + everyone().bob.did + '/' + std::string(market::bid::nsid) + '/' + rkey;
        const value body = value::map{{"uri", uri}, {"cid", cid_of(record).text()}, {"record", record}};
        CHECK(s.post(at_alice, service::submit_bid, body, s.token(everyone().bob, service::submit_bid, "did:web:alice.example")).status == 200);
        s.pass(1s);
        CHECK(s.alice.purchase_of("p").offers.size() == 1);
    };
    auto swapped = bid.value;
    swapped.as<value::map>()->insert_or_assign("expiresAt", to_datetime(s.u.now() + 1h));
    send(swapped, "3mlf7tjlfjr2d");
    swapped.as<value::map>()->erase("signatures");
    send(swapped, "3mlf7tjlfjr2e");
}

TEST_CASE("an accept that is submitted is answered as the paid URL answers: with the demand, and, once it is paid, with the receipt") {
    with_calls s;
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::active));
    const auto p = s.alice.purchase_of("p");
    const value body = value::map{{"acceptUri", p.accept.uri}, {"acceptCid", p.accept.cid}};
    const auto r = s.post(at_bob, service::submit_accept, body, s.token(everyone().alice, service::submit_accept));
    CHECK(r.status == 200);
    const auto said = from_json(r.body).value();
    CHECK(said.text("uri") == p.receipt.uri);
    CHECK(said.text("cid") == p.receipt.cid);
    CHECK(said.text("submitEvent") == at_bob);
    CHECK(error_of(s.post(at_bob, service::submit_accept, body, s.token(everyone().bob, service::submit_accept))) == "403 Forbidden");
    CHECK(s.spent() == for_ten_minutes);
    CHECK(s.machines() == 1);
}

TEST_CASE("bidders register themselves, and nobody else, and are listed a page at a time") {
    with_calls s(false);
    const auto apply = [&](const std::string& who, const party& caller, value::list to) {
        return s.post(at_bob, service::register_bidder, value::map{{"bidderDid", who}, {"appliesTo", std::move(to)}}, s.token(caller, service::register_bidder));
    };
    const auto list = [&](const std::string& query) {
        http::call c;
        c.url = at_bob + "/xrpc/" + std::string(service::list_bidders) + query;
        return c;
    };
    const std::string vm(market::vm::nsid);
    CHECK(error_of(apply(everyone().bob.did, everyone().alice, {vm})) == "403 Forbidden");
    CHECK(error_of(apply(everyone().alice.did, everyone().alice, {})) == "400 InvalidRequest");
    CHECK(apply(everyone().alice.did, everyone().alice, {vm, "com.example.thing"}).status == 200);
    CHECK(apply(everyone().alice.did, everyone().alice, {vm}).status == 200); // again: it is one
    CHECK(apply(everyone().bob.did, everyone().bob, {vm}).status == 200);
    CHECK(s.bob.records().count(std::string(market::bidder_registration::nsid)) == 2);
    const auto all = from_json(s.call(list("")).body).value();
    CHECK(all.find("bidders")->as<value::list>()->size() == 2);
    CHECK_FALSE(all.find("cursor"));
    CHECK(error_of(s.call(list("?maxResults=0"))) == "400 InvalidRequest");
    CHECK(error_of(s.call(list("?payloadNsid=x"))) == "400 InvalidRequest");
    CHECK(error_of(s.call(list("?cursor=%2F"))) == "400 InvalidRequest");
    const auto first = from_json(s.call(list("?maxResults=1&payloadNsid=" + vm)).body).value();
    REQUIRE(first.find("bidders")->as<value::list>()->size() == 1);
    const auto second = from_json(s.call(list("?maxResults=1&cursor=" + std::string(first.text("cursor")))).body).value();
    REQUIRE(second.find("bidders")->as<value::list>()->size() == 1);
    CHECK(*first.find("bidders") != *second.find("bidders"));
    CHECK(from_json(s.call(list("?payloadNsid=com.example.thing")).body)->find("bidders")->as<value::list>()->empty()); // as it said last
}
