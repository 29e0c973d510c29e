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
    moved how = moved::unknown; // yes: this transfer was made, by `transaction`; no: it was not, as of the rail's own time
    std::string transaction;
    instant as_of;
    bool spent = false;         // with `no`: its nonce went with another transfer, or was cancelled, so that it never will be
    std::optional<amount> value = std::nullopt; // with `yes`, of a permit: what moved of it
};

class payment_rail {
public:
    virtual ~payment_rail() = default;
    virtual std::string network() const = 0;      // CAIP-2
    virtual x402::domain token() const = 0;       // what is signed against
    virtual std::string asset() const = 0;
    virtual std::vector<std::string> signers() const { return {}; } // addresses whose transactions bring payments to it
    // An authorisation; or a permit, where the rail takes them. Idempotent by (from, nonce): asked again after it was done, it says yes with the same transaction, if it is the same
    // transfer; `no` with "invalid_exact_evm_nonce_already_used" if it is another. Codes of x402's official facilitator.
    virtual void settle(const x402::exact_payload&, std::function<void(settle_answer)>) = 0;
    // Of this very transfer: who signed one nonce twice has paid what was settled first. An empty `to` or `value` stands for any.
    virtual void look_up(const x402::authorization&, std::function<void(look_up_answer)>) = 0;
    // The transaction that is to bring it, where it is under way and the rail has one: for people, and for whoever has to look himself.
    virtual std::string on_its_way(const x402::authorization&) const { return {}; }
    virtual void balance(const std::string& address, std::function<void(result<amount>)>) = 0;
    // Whether it would settle: x402::check_exact, and what only the rail knows, in the official facilitator's order and with its codes. The payer; or
    // "rail_unknown" where the rail cannot tell now. Promises nothing: the payer may spend it meanwhile.
    virtual void check(const x402::payment&, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)>);
};

} // namespace souk
