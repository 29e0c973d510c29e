// A payment rail: where an EIP-3009 authorisation becomes money moved. Three-valued everywhere: done, refused, unknown.
#pragma once
#include <functional>

#include <souk/messages/x402.hpp>

namespace souk {

enum class moved : std::uint8_t { yes, no, unknown };

struct settle_answer {
    moved how = moved::unknown;
    std::string transaction; // when yes
    refusal why;             // when no
};
struct look_up_answer {
    moved how = moved::unknown; // yes: this nonce was used, by `transaction`; no: it was not, as of the rail's own time
    std::string transaction;
    instant as_of;
};

class payment_rail {
public:
    virtual ~payment_rail() = default;
    virtual std::string network() const = 0;      // CAIP-2
    virtual x402::domain token() const = 0;       // what is signed against
    virtual std::string asset() const = 0;
    // Idempotent by (from, nonce): asked again after it was done, it says yes with the same transaction, if it is the same
    // transfer; `no` with "invalid_exact_evm_nonce_already_used" if it is another. Codes of x402's official facilitator.
    virtual void settle(const x402::exact_payload&, std::function<void(settle_answer)>) = 0;
    virtual void look_up(const std::string& from, const std::string& nonce, std::function<void(look_up_answer)>) = 0;
    virtual void balance(const std::string& address, std::function<void(result<amount>)>) = 0;
};

} // namespace souk
