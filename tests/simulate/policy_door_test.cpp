// Another's question to a policy engine: who may ask, what is believed of what he says, and what he hears.
#include <souk/actors/common/service_call.hpp>
#include <souk/actors/policy/engine.hpp>
#include <souk/messages/json.hpp>
#include <souk/runtime/policy_door.hpp>

#include "little_market.hpp"

namespace {

struct asked : little_market {
    asked() : little_market({2, 4096, 65'536}, 600, dialect::g4, true, [](little_market& m) { m.alice.answers(everyone().bob.did); }) {}

    http::response ask_alice(const value& body, const party& who, const std::string& method = std::string(policy::evaluate_nsid), std::chrono::seconds age = 0s, const std::string& to = "did:web:alice.example") {
        const auto now = std::chrono::floor<std::chrono::seconds>((u.now() - age).time_since_epoch()).count();
        http::call c;
        c.method = "POST", c.url = "https://alice.example/xrpc/" + std::string(policy::evaluate_nsid), c.body = to_json(body, json_form::atproto), c.within = 60s;
        c.head.set("Authorization", "Bearer " + jwt::sign_es256k({{"iss", who.did}, {"aud", to}, {"lxm", method}, {"iat", now}, {"exp", now + 60}}, who.keys->signing()).value());
        std::optional<result<http::response>> got;
        net.web_of("did:web:caller.example", visitor)(std::move(c), [&](result<http::response> r) { got = std::move(r); });
        REQUIRE(soon([&] { return got.has_value(); }));
        REQUIRE(got->has_value());
        return got->value();
    }
    static value about(const std::string& did) { return value::map{{"subjectDid", did}, {"perspective", "requester"}}; }
};

std::string error_of(const http::response& r) {
    const auto body = from_json(r.body);
    return std::to_string(r.status) + ' ' + std::string(body ? body->text("error") : "");
}

} // namespace

TEST_CASE("a verdict is told with the records that it goes by, to whom the operator lets ask") {
    asked s;
    const auto& bob = everyone().bob;
    const auto yes = s.ask_alice(asked::about(bob.did), bob);
    CHECK(yes.status == 200);
    const auto said = policy::read_engine_answer(yes); // as another node of Souk's reads it
    CHECK(said.allowed);
    CHECK(said.unknown.empty());
    const auto body = from_json(yes.body).value();
    const auto& evidence = *body.find("evidence")->as<value::list>();
    REQUIRE(evidence.size() == 1);
    CHECK(evidence[0].text("uri") == "at://" + everyone().alice.did + "/sh.tangled.graph.vouch/" + bob.did);
    s.believe("denounce");
    s.pass(1s);
    const auto no = policy::read_engine_answer(s.ask_alice(asked::about(bob.did), bob));
    CHECK_FALSE(no.allowed);
    CHECK(no.unknown.empty());
    CHECK(no.evidence.size() == 1);
}

TEST_CASE("nobody else hears of whom she trusts, and no token but his for this is good") {
    asked s;
    const auto &bob = everyone().bob, &alice = everyone().alice;
    CHECK(error_of(s.ask_alice(asked::about(bob.did), alice)) == "403 Forbidden"); // not named, though it is herself
    CHECK(error_of(s.ask_alice(asked::about(bob.did), bob, std::string(service::submit_rfp))) == "401 Unauthorized");
    CHECK(error_of(s.ask_alice(asked::about(bob.did), bob, std::string(policy::evaluate_nsid), 120s)) == "401 Unauthorized");
    CHECK(error_of(s.ask_alice(asked::about(bob.did), bob, std::string(policy::evaluate_nsid), 0s, "did:web:bob.example")) == "401 Unauthorized");
}

TEST_CASE("a question that this engine cannot answer is not answered with something else") {
    asked s;
    const auto& bob = everyone().bob;
    const auto with = [&](const std::string& field, value v) {
        auto body = asked::about(bob.did);
        body.as<value::map>()->insert_or_assign(field, std::move(v));
        return error_of(s.ask_alice(body, bob));
    };
    CHECK(error_of(s.ask_alice(value::map{}, bob)) == "400 InvalidRequest");
    CHECK(with("name", "another policy") == "400 InvalidRequest");
    CHECK(with("counterpartyDid", everyone().alice.did) == "400 InvalidRequest");
    s.window = 20'000ms;
    s.wants("p");
    s.pass(10s);
    const auto bid = s.bob.records().list(std::string(market::bid::nsid), 1, "", false).at(0);
    const auto rfp = s.alice.records().list(std::string(market::rfp::nsid), 1, "", false).at(0);
    CHECK(with("offer", to_value(bid.ref())) == "200 ");
    CHECK(with("offer", to_value(rfp.ref())) == "400 InvalidRequest");
    CHECK(with("offer", to_value(strong_ref{bid.uri.text(), cid::of_raw("another").text()})) != "200 ");
    auto body = asked::about(everyone().alice.did); // a bid of Bob's, and somebody else is asked about
    body.as<value::map>()->insert_or_assign("offer", to_value(bid.ref()));
    CHECK(error_of(s.ask_alice(body, bob)) == "400 InvalidRequest");
}
