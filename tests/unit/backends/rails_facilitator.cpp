#include <doctest/doctest.h>

#include <souk/backends/rails/facilitator.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

// A chain that says what the test has put there.
struct little_chain final : payment_rail {
    look_up_answer known{moved::no, {}, {}, false};
    int looks = 0;
    std::string network() const override { return "eip155:84532"; }
    x402::domain token() const override { return {"USDC", "2", 84532, asset()}; }
    std::string asset() const override { return "0x036CbD53842c5426634e7929541eC2318f3dCF7e"; }
    void settle(const x402::exact_payload&, std::function<void(settle_answer)> tell) override { tell({moved::no, {}, {"rail_reads_only", ""}}); }
    void look_up(const x402::authorization&, std::function<void(look_up_answer)> tell) override { ++looks, tell(known); }
    void balance(const std::string&, std::function<void(result<amount>)> tell) override { tell(amount{1}); }
};

struct shop {
    instant now{1'700'000'000s};
    little_chain chain;
    std::vector<http::call> asked;
    std::function<result<http::response>(const http::call&)> answers = [](const http::call&) { return refusal{"http_timeout", "late"}; };
    std::unique_ptr<payment_rail> rail = make_facilitator_rail(
        [this](http::call c, std::function<void(result<http::response>)> tell) {
            asked.push_back(c);
            tell(answers(c));
        },
        {"https://facilitator.example/x402", {{"authorization", "Bearer ours"}}, 90s, [this] { return now; }}, chain);

    settle_answer settle() {
        x402::exact_payload p;
        p.signature = "0x" + std::string(130, '1');
        p.authorization = {"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "10000", "0", "1800000300", "0x" + std::string(64, 'a')};
        settle_answer got;
        rail->settle(p, [&got](settle_answer a) { got = std::move(a); });
        return got;
    }
    void says(unsigned status, std::string body, std::pair<std::string, std::string> head = {}) {
        answers = [=](const http::call&) {
            http::response r{status, {}, body};
            if (!head.first.empty()) r.head.set(head.first, head.second);
            return result<http::response>(std::move(r));
        };
    }
};

} // namespace

TEST_CASE("a facilitator's yes counts when the chain shows it, and not before") {
    shop s;
    s.says(200, R"({"success":true,"transaction":"0xlie","network":"eip155:84532"})");
    CHECK(s.settle().how == moved::unknown);
    s.answers = [&](const http::call&) {
        s.chain.known = {moved::yes, "0xreal", {}, false};
        return result<http::response>(http::response{200, {}, R"({"success":true,"transaction":"0xlie"})"});
    };
    const auto done = s.settle();
    CHECK(done.how == moved::yes);
    CHECK(done.transaction == "0xreal");
    const auto before = s.asked.size();
    CHECK(s.settle().how == moved::yes); // and then nobody is asked again
    CHECK(s.asked.size() == before);
}

TEST_CASE("its no is a no only where the chain has nothing either; what is pending, late or garbled is unknown") {
    shop s;
    s.says(200, R"({"success":false,"errorReason":"invalid_exact_evm_insufficient_balance","transaction":""})");
    CHECK(s.settle().how == moved::no);
    CHECK(s.settle().why.code == "invalid_exact_evm_insufficient_balance");
    s.says(400, R"({"success":false,"errorReason":"invalid_payload"})"); // a status of its own
    CHECK(s.settle().how == moved::no);
    s.answers = [&](const http::call&) {
        s.chain.known = {moved::yes, "0xreal", {}, false};
        return result<http::response>(http::response{200, {}, R"({"success":false,"errorReason":"invalid_exact_evm_transaction_failed"})"});
    };
    CHECK(s.settle().how == moved::yes); // it said that it failed, and it had not
    s.chain.known = {moved::no, {}, {}, false};
    s.says(200, R"({"success":false,"errorReason":"settlement_pending","transaction":"0x1"})");
    CHECK(s.settle().how == moved::unknown);
    for (const char* garbage : {"", "<html>", "[]", "{}", R"({"success":"yes"})"}) {
        s.says(200, garbage);
        CHECK(s.settle().how == moved::unknown);
    }
    s.answers = [](const http::call&) { return refusal{"http_timeout", "late"}; };
    CHECK(s.settle().how == moved::unknown);
    s.chain.known = {moved::no, {}, {}, true};
    const auto before = s.asked.size();
    CHECK(s.settle().how == moved::no); // spent on something else: nobody is asked
    s.chain.known = {};
    CHECK(s.settle().how == moved::unknown); // a chain that cannot be asked: nothing is begun
    CHECK(s.asked.size() == before);
}

TEST_CASE("a permit is brought to it as it goes over the wire; of at most so much, for what it came to") {
    shop s;
    s.says(200, R"({"success":false,"errorReason":"permit2_allowance_required","transaction":""})");
    for (const bool upto : {false, true}) {
        x402::exact_payload p;
        p.signature = "0x" + std::string(130, '1');
        p.permit2Authorization = x402::permit2_authorization{"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", {s.chain.asset(), "500000"}, "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002", "7", "1800000300",
                                                             {"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", upto ? std::optional<std::string>("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266") : std::nullopt, "0"}};
        p.authorization = {"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", upto ? "123456" : "500000", "0", "1800000300", "permit2:0x" + std::string(63, '0') + "7"};
        settle_answer got;
        s.rail->settle(p, [&got](settle_answer a) { got = std::move(a); });
        CHECK(got.how == moved::no);
        CHECK(got.why.code == "permit2_allowance_required");
        const auto body = from_json(s.asked.back().body).value();
        const auto& payment = *body.find("paymentPayload");
        const auto& needs = *body.find("paymentRequirements");
        CHECK(!payment.find("payload")->find("authorization"));
        CHECK(from_value<x402::permit2_authorization>(*payment.find("payload")->find("permit2Authorization")).value() == *p.permit2Authorization);
        CHECK(needs.text("scheme") == (upto ? "upto" : "exact"));
        CHECK(payment.find("accepted")->text("scheme") == needs.text("scheme"));
        CHECK(needs.text("amount") == p.authorization.value);
        CHECK(payment.find("accepted")->text("amount") == "500000");
        CHECK(needs.find("extra")->text("assetTransferMethod") == "permit2");
        CHECK(needs.find("extra")->text("facilitatorAddress") == (upto ? "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266" : ""));
    }
}

TEST_CASE("redirections are followed as far as is safe, and our key stays with whom it is for") {
    shop s;
    s.answers = [&](const http::call& c) {
        http::response r{308, {}, ""};
        if (c.url == "https://facilitator.example/x402/settle") r.head.set("location", "/moved/settle");
        else if (c.url == "https://facilitator.example/moved/settle") r.head.set("location", "https://other.example/settle");
        else r = {200, {}, R"({"success":false,"errorReason":"no"})"};
        return result<http::response>(std::move(r));
    };
    CHECK(s.settle().why.code == "no");
    REQUIRE(s.asked.size() == 3);
    CHECK(s.asked[1].head.get("authorization") == "Bearer ours");
    CHECK(s.asked[2].head.get("authorization") == "");
    CHECK(s.asked[2].method == "POST");
    CHECK(s.asked[2].body == s.asked[0].body);
    s.says(307, "", {"location", "http://facilitator.example/settle"});
    CHECK(s.settle().how == moved::unknown);
    s.asked.clear();
    s.says(307, "", {"location", "https://facilitator.example/again"});
    CHECK(s.settle().how == moved::unknown);
    CHECK(s.asked.size() == 4);
}

TEST_CASE("a pause that it asks for is kept") {
    shop s;
    s.says(429, "{}", {"retry-after", "7"});
    CHECK(s.settle().how == moved::unknown);
    CHECK(s.settle().why.code == "rail_busy");
    CHECK(s.asked.size() == 1);
    s.now += 8s;
    CHECK(s.settle().how == moved::unknown);
    CHECK(s.asked.size() == 2);
}

TEST_CASE("what it is asked is what the official ones understand") {
    shop s;
    (void)s.settle();
    const auto body = from_json(s.asked.at(0).body).value();
    CHECK(body.find("x402Version")->as<std::int64_t>() != nullptr);
    CHECK(*body.find("paymentPayload")->find("accepted") == *body.find("paymentRequirements"));
    CHECK(body.find("paymentRequirements")->text("amount") == "10000");
    CHECK(body.find("paymentPayload")->find("payload")->find("authorization")->text("nonce") == "0x" + std::string(64, 'a'));
}
