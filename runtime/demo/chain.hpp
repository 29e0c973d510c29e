// The demo's chain: anvil, from npm, with the dollar of deploy/contracts where Base Sepolia has its own. A real node, and no money.
#pragma once
#include <memory>
#include <string>

#include <souk/backends/http/client.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/value.hpp>
#include <souk/runtime/demo/process.hpp>

namespace souk::demo {

class chain {
public:
    static constexpr const char* network = "eip155:84532";
    static constexpr const char* dollar = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

    // `peers`: where deploy/demo put chain.mjs, the packages it needs, and the compiled contracts.
    chain(const std::filesystem::path& peers, std::uint16_t port, const std::filesystem::path& log);

    void start(); // until it answers; throws std::runtime_error
    void stop() { run_.stop(); }
    void keep() { run_.release(); }
    const std::string& url() const { return url_; }

    void give_gas(const std::string& address);      // one ether, as only a development chain does
    void issue(const std::string& address, amount); // dollars
    amount balance(const std::string& address);

    struct landed {
        std::string block, gas; // decimal
        bool succeeded = false;
    };
    landed receipt(const std::string& transaction); // throws std::runtime_error: the chain does not have it

private:
    value ask(const std::string& method, value::list params);

    process run_;
    std::filesystem::path log_;
    std::string url_;
    http::client web_;
};

} // namespace souk::demo
