// A node of ours on a real chain: SOUK_CHAIN is the address of one's node. Every case has payers of its own.
#pragma once
#include <doctest/doctest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <souk/actors/payments/evm_rail.hpp>
#include <souk/backends/evm/json_rpc.hpp>
#include <souk/backends/evm/quorum.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/in_a_row.hpp>
#include <souk/messages/evm/token.hpp>
#include <souk/messages/json.hpp>

#include "../unit/backends/loopback.hpp"

using namespace souk;
using namespace std::chrono_literals;

inline const x402::domain dollar{"USDC", "2", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e"};

inline std::string where() {
    const char* url = std::getenv("SOUK_CHAIN");
    REQUIRE_MESSAGE(url, "SOUK_CHAIN: the address of a chain's node (tests/x402/rail starts one)");
    return url;
}
// The code of a test's own contract (tests/x402/tokens), as it lies on a chain.
inline std::string deployed(const std::string& name) {
    const char* contracts = std::getenv("SOUK_CONTRACTS");
    REQUIRE(contracts);
    std::ifstream file(std::filesystem::path(contracts) / (name + ".json"));
    const auto compiled = from_json(std::string(std::istreambuf_iterator<char>(file), {}));
    REQUIRE(compiled.has_value());
    return std::string(compiled->text("deployed"));
}
inline instant system_now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

struct person {
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::address address = crypto::address_of(key).value();
};

// What a test does to the chain itself.
struct chain_hands {
    http::client web{[] { http::client_options o; o.allow_private = true; return o; }()};

    value rpc(const std::string& method, value::list params) {
        http::call c;
        c.method = "POST", c.url = where(), c.body = to_json(value::map{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}});
        c.head.set("content-type", "application/json");
        const auto r = web.fetch_now(std::move(c));
        REQUIRE(r.has_value());
        const auto body = from_json(r->body);
        REQUIRE(body.has_value());
        REQUIRE_MESSAGE(body->find("result"), r->body);
        return *body->find("result");
    }
    void gas(const std::string& address) { rpc("anvil_setBalance", {address, "0xde0b6b3a7640000"}); }
    // The chain's first account issues dollars to whom it likes.
    void issue(const std::string& address, std::uint64_t atomic, const std::string& token = dollar.contract) {
        const auto data = evm::abi::call("mint(address,uint256)", {evm::abi::fixed(*evm::address_word(address)), evm::abi::fixed(evm::number(atomic))});
        const auto sent = rpc("eth_sendTransaction", {value::map{{"from", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}, {"to", token}, {"data", evm::to_hex_text(data)}}});
        REQUIRE(loopback::soon([&] { return !rpc("eth_getTransactionReceipt", {sent}).is_null(); }));
    }
    std::int64_t transactions_of(const std::string& address) {
        return static_cast<std::int64_t>(evm::from_quantity(*rpc("eth_getTransactionCount", {address, "latest"}).as<std::string>()).value());
    }
};

struct quiet_system : caf::actor_system_config {
    quiet_system() {
        souk::add_message_types<caf::id_block::souk>(*this);
        set("logger.verbosity", caf::atom("quiet"));
    }
};

struct node {
    explicit node(std::size_t signers = 2, std::function<http::fetcher(http::fetcher)> through = {}, x402::domain paid_in = dollar) : token(std::move(paid_in)) {
        for (std::size_t i = 0; i < signers; ++i) hands.gas(keys.emplace_back().address);
        auto fetch = http::fetcher_of(hands.web);
        if (through) fetch = through(fetch);
        evm::quorum_options q;
        q.now = system_now;
        on = evm::make_quorum({evm::make_json_rpc(fetch, {where(), 84532, {}, 8s})}, q);
        start();
    }
    void start() {
        log = std::make_unique<sqlite_journal>(dir / "journal.db");
        sys = std::make_unique<caf::actor_system>(cfg);
        evm_rail_options o;
        o.network = "eip155:84532", o.token = token, o.now = system_now, o.wallet_factories = wallet_factories;
        if (std::getenv("SOUK_TEST_LOUD")) o.trouble = [](const std::string&, const std::string& effect, verdict, const std::string& why) { MESSAGE(effect << ": " << why); };
        std::vector<crypto::secret> secrets;
        for (const auto& k : keys) secrets.push_back(k.key.copy());
        rail = std::make_unique<evm_rail>(*sys, o, *log, on, std::move(secrets));
    }
    void stop() {
        if (!sys) return;
        rail->close(), sys.reset(), rail.reset(), log.reset();
    }
    ~node() { stop(); }

    x402::authorization of(const person& from, const person& to, std::uint64_t value, std::chrono::seconds valid = 300s) {
        x402::authorization a;
        a.from = from.address, a.to = to.address, a.value = std::to_string(value), a.validAfter = "0";
        a.validBefore = std::to_string(std::chrono::floor<std::chrono::seconds>((system_now() + valid).time_since_epoch()).count());
        a.nonce = "0x" + to_hex(crypto::generate(crypto::curve::k256).view());
        return a;
    }
    x402::exact_payload by(const person& who, const x402::authorization& a) const {
        return {"0x" + to_hex(crypto::sign_digest(who.key, x402::digest_of(token, a).value()).value()), a};
    }
    std::vector<settle_answer> settle_all(const std::vector<x402::exact_payload>& all) { return settle_all(*rail, all); }
    static std::vector<settle_answer> settle_all(payment_rail& by, const std::vector<x402::exact_payload>& all) {
        loopback::inbox<std::pair<std::size_t, settle_answer>> told;
        for (std::size_t i = 0; i < all.size(); ++i) by.settle(all[i], [&told, i](settle_answer a) { told.put({i, std::move(a)}); });
        std::vector<settle_answer> answers(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto [at, a] = told.take();
            answers[at] = std::move(a);
        }
        return answers;
    }
    settle_answer settle(const x402::exact_payload& p) { return settle_all({p}).front(); }
    look_up_answer look_up(const x402::authorization& a) {
        loopback::inbox<look_up_answer> told;
        rail->look_up(a, [&told](look_up_answer l) { told.put(std::move(l)); });
        return told.take();
    }
    amount balance(const person& who) {
        loopback::inbox<result<amount>> told;
        rail->balance(who.address, [&told](result<amount> a) { told.put(std::move(a)); });
        return told.take().value();
    }
    std::string check(const x402::exact_payload& p, std::uint64_t amount) {
        x402::requirements r;
        r.scheme = "exact", r.network = "eip155:84532", r.amount = std::to_string(amount), r.asset = token.contract, r.payTo = p.authorization.to, r.maxTimeoutSeconds = 300;
        r.extra = value(value::map{{"name", "USDC"}, {"version", "2"}});
        x402::payment paid;
        paid.accepted = r, paid.payload = p;
        loopback::inbox<result<crypto::address>> told;
        rail->check(paid, r, system_now(), [&told](result<crypto::address> a) { told.put(std::move(a)); });
        const auto said = told.take();
        return said ? "good" : said.error().code;
    }

    const x402::domain token;
    std::vector<std::string> wallet_factories; // from the next start on
    chain_hands hands;
    loopback::directory dir;
    quiet_system cfg;
    std::vector<person> keys;
    std::shared_ptr<evm::chain> on;
    std::unique_ptr<sqlite_journal> log;
    std::unique_ptr<caf::actor_system> sys;
    std::unique_ptr<evm_rail> rail;
};
