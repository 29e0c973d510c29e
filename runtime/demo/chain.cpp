#include <souk/runtime/demo/chain.hpp>

#include <chrono>
#include <stdexcept>
#include <thread>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/token.hpp>
#include <souk/messages/json.hpp>

namespace souk::demo {

namespace {

using namespace std::chrono_literals;

const std::string issuer = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"; // an account of anvil's own, which it signs for

http::client_options on_loopback() {
    http::client_options o;
    o.allow_private = true;
    return o;
}
std::string decimal(std::string_view hex) { return std::to_string(std::stoull(std::string(hex), nullptr, 16)); }

} // namespace

chain::chain(const std::filesystem::path& peers, std::uint16_t port, const std::filesystem::path& log)
    : run_("chain", {"/usr/bin/env", "node", (peers / "chain.mjs").string(), peers.string(), (peers / "contracts").string(), std::to_string(port)}, log),
      log_(log), url_("http://127.0.0.1:" + std::to_string(port)), web_(on_loopback()) {}

void chain::start() {
    run_.start();
    const auto until = std::chrono::steady_clock::now() + 60s;
    for (;;) { // it answers before its dollar is in place; the contract's name is the last that it is given
        try {
            if (ask("eth_getStorageAt", {std::string(dollar), "0x1", "latest"}).as<std::string>()->find_first_not_of("0x") != std::string::npos) return;
        } catch (const std::runtime_error&) {
        }
        if (!run_.running() || std::chrono::steady_clock::now() > until) throw std::runtime_error("the chain did not start; see " + log_.string());
        std::this_thread::sleep_for(100ms);
    }
}

value chain::ask(const std::string& method, value::list params) {
    http::call c;
    c.method = "POST", c.url = url_;
    c.head.set("content-type", "application/json");
    c.body = to_json(value::map{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}});
    const auto r = web_.fetch_now(std::move(c));
    if (!r) throw std::runtime_error("the chain: " + r.error().text);
    const auto said = from_json(r->body);
    const auto* found = said ? said->find("result") : nullptr;
    if (!found) throw std::runtime_error("the chain: " + method + ": " + r->body.substr(0, 200));
    return *found;
}

void chain::give_gas(const std::string& address) { ask("anvil_setBalance", {address, "0xde0b6b3a7640000"}); }

void chain::issue(const std::string& address, amount a) {
    const auto data = evm::abi::selector("mint(address,uint256)") + *evm::address_word(address) + *evm::uint256(std::to_string(a));
    ask("eth_sendTransaction", {value::map{{"from", issuer}, {"to", std::string(dollar)}, {"data", "0x" + to_hex(data)}}});
}

amount chain::balance(const std::string& address) {
    const auto said = ask("eth_call", {value::map{{"to", std::string(dollar)}, {"data", "0x" + to_hex(evm::token::balance_of(address).value())}}, "latest"});
    return static_cast<amount>(std::stoull(*said.as<std::string>(), nullptr, 16));
}

chain::landed chain::receipt(const std::string& transaction) {
    const auto r = ask("eth_getTransactionReceipt", {transaction});
    if (!r.as<value::map>()) throw std::runtime_error("the chain has no transaction " + transaction);
    return {decimal(r.text("blockNumber")), decimal(r.text("gasUsed")), r.text("status") == "0x1"};
}

} // namespace souk::demo
