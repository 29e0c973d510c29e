// A rail that holds money in escrow by allowance (deploy/contracts/Escrow.sol): what a payer set aside for one provider, or what somebody gave him to be spent
// with that one, out of which the provider is paid request by request. Three-valued, as every rail.
#pragma once
#include <souk/backends/rails/rail.hpp>
#include <souk/messages/evm/escrow.hpp>

namespace souk {

struct escrow_source { // what pays
    std::string payer, provider, token;
    std::string credit = "0"; // the number of a trial credit; 0: the payer's allowance
    bool operator==(const escrow_source&) const = default;
};
BOOST_DESCRIBE_STRUCT(escrow_source, (), (payer, provider, token, credit))

// How one stands by the rail's own books, at a point that is not taken back any more. Atomic units; more than fits is as much as fits.
struct escrow_books {
    std::int64_t budget = 0, price = 0; // what can still be consumed, and by one request at most
    std::int64_t leaving = 0;           // of the budget, announced
    instant leaving_since;              // the epoch: nothing is leaving
    instant expires;                    // a credit's last second; the epoch: an allowance
    bool fits = true;                   // the credit is for this payer, provider and token
    instant as_of;                      // the rail's clock
    std::vector<std::string> used;      // of the nonces that were asked for, as they were written
    bool operator==(const escrow_books&) const = default;
};
BOOST_DESCRIBE_STRUCT(escrow_books, (), (budget, price, leaving, leaving_since, expires, fits, as_of, used))

struct escrow_bad { // a request that keeps the others of its batch from being consumed
    std::string nonce;
    refusal why; // "consumed": it is the provider's already, by itself
    bool operator==(const escrow_bad&) const = default;
};
BOOST_DESCRIBE_STRUCT(escrow_bad, (), (nonce, why))

struct escrow_answer {
    moved how = moved::unknown;
    refusal why;                 // when no; when unknown, what is known
    escrow_books books;          // when yes: with it in them. Of what one's own order touches, if that is an allowance
    std::vector<escrow_bad> bad; // when no: those that never will be. None: it is nothing about the requests, and they may be brought again
    std::string credit;          // the number of one that was granted
    std::string transaction;
};

// What one does with one's own money there, by a key: the contract knows who by who sends it.
struct escrow_order {
    // deposit, withdraw (what is neither set aside nor granted), approve (`amount` more, each request at most `price`), announce (that so much leaves the
    // budget), release (what was announced, a notice later), give_back (by the provider: of this payer's budget), grant (a trial credit), reclaim (what is
    // left of one, after its day, to whoever gave it)
    std::string what;
    std::string once; // the owner's name for it: brought again under this name it is what it was. A chain's rail knows it for as long as it watches its block
    std::string payer, provider; // approve, announce, release: provider; give_back: payer; grant: both
    std::int64_t amount = 0, price = 0;
    std::string credit = "0";   // reclaim
    std::int64_t expires = 0;   // grant: seconds
    bool operator==(const escrow_order&) const = default;
};
BOOST_DESCRIBE_STRUCT(escrow_order, (), (what, once, payer, provider, amount, price, credit, expires))

// Codes are the contract's errors: "no_amount", "too_much", "bad_party", "price_lowered", "notice_pending", "no_notice", "too_early", "not_provider", "expired",
// "price_too_high", "beyond_budget", "wrong_credit", "beyond_credit", "used", "bad_signature"; and "unknown_order", "order_conflict" (the same name for something
// else), "wrong_token", "rail_unknown", "rail_busy", "rail_reads_only", "disk_full".
class escrow_rail {
public:
    virtual ~escrow_rail() = default;
    virtual std::string network() const = 0; // CAIP-2
    virtual x402::domain token() const = 0;
    virtual evm::escrow::place escrow() const = 0; // what requests are signed for

    using tell_escrow = std::function<void(escrow_answer)>;

    // -- any number of times, from any thread
    virtual void look_at(const escrow_source&, const std::vector<std::string>& nonces, tell_escrow) = 0;
    virtual void free_of(const std::string& owner, std::function<void(result<amount>)>) = 0; // what he may withdraw at once
    // By the provider's key: all of them, or none. Brought again it is what it was.
    virtual void consume(const std::vector<evm::escrow::signed_request>&, const crypto::secret& by, tell_escrow) = 0;
    virtual void carry_out(const escrow_order&, const crypto::secret& by, tell_escrow) = 0;
};

} // namespace souk
