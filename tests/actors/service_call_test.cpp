// Where a service that a record names is called, and what it is told.
#include "stage.hpp"

#include <souk/actors/common/service_call.hpp>
#include <souk/messages/json.hpp>

using namespace souk;

namespace {

const std::string alice_did = "did:plc:alice", bob_did = "did:plc:bob";

struct caller {
    stage::party bob{bob_did}, alice{alice_did};
    did_document hers = alice.document("https://pds.example");
    std::vector<http::call> calls;
    service::ports ports() {
        return {bob_did, &bob.key, [this](http::call c, std::function<void(result<http::response>)> tell) { calls.push_back(std::move(c)), tell(http::json_response(200, "{}")); },
                [this](const std::string& did, std::function<void(result<did_document>)> tell) { tell(did == alice_did ? result<did_document>(hers) : refusal{"did_unresolved", "nobody"}); },
                [] { return instant{std::chrono::seconds{1'778'312'530}}; }};
    }
    std::string call(const std::string& service) {
        calls.clear();
        std::string said = "nothing";
        service::call(ports(), service, service::submit_bid, value(value::map{{"uri", "x"}}), [&](const result<http::response>& r) { said = r ? "called" : r.error().code; });
        return said;
    }
};

} // namespace

TEST_CASE_FIXTURE(caller, "a service is called where the DID's document says, else where the account's records are") {
    const auto path = "/xrpc/" + std::string(service::submit_bid), name = alice_did + "#pdr_temp_market";
    CHECK(call(name) == "called");
    CHECK(calls.front().url == "https://pds.example" + path);
    hers.services.push_back({"other", "Other", "https://other.example"});
    hers.services.push_back({"pdr_temp_market", "PDRTempMarket", "https://market.example/"});
    CHECK(call(name) == "called");
    CHECK(calls.front().url == "https://market.example" + path);
    const auto token = jwt::split(calls.front().head.get("authorization").substr(7)).value();
    CHECK(token.claims.text("aud") == name); // whoever passes it on elsewhere gains nothing
    CHECK(token.claims.text("lxm") == service::submit_bid);
    CHECK(call("did:plc:nobody#pdr_temp_market") == "did_unresolved");
    hers.pds.clear(), hers.services.clear();
    CHECK(call(name) == "bad_service");
    CHECK(calls.empty());
}

TEST_CASE_FIXTURE(caller, "what is no service is not called") {
    for (const char* text : {"", "pdr_temp_market", "did:plc:alice", "ftp://x.example", "https://", "#x"}) {
        CHECK(call(text) == "bad_service");
        CHECK(calls.empty());
    }
}
