// A rail that holds payment channels: money that one payer has set aside for one receiver, who fetches what the payer's vouchers allow. Every call may be
// made again, and happens once: by the deposit's own nonce, by "so much in all", by the refund's nonce. Three-valued, as every rail.
#pragma once
#include <souk/backends/rails/rail.hpp>
#include <souk/messages/evm/channel.hpp>

namespace souk {

// How a channel stands by the rail's own books, at a point that is not taken back any more. Atomic units.
struct channel_books {
    std::int64_t balance = 0, claimed = 0; // deposited less what went back; what was claimed, in all, is still in the balance
    instant leaving_since;                 // the payer began to withdraw; the epoch: he did not
    std::int64_t refund_nonce = 0;         // of the next refund
    instant as_of;                         // the rail's clock
    bool operator==(const channel_books&) const = default;
};
BOOST_DESCRIBE_STRUCT(channel_books, (), (balance, claimed, leaving_since, refund_nonce, as_of))

struct channel_answer {
    moved how = moved::unknown;
    refusal why;         // when no; when unknown, what is known
    channel_books books; // when yes: with it in them
    std::string transaction;
};

// Codes are those of x402's official facilitator ("invalid_batch_settlement_evm_..."), and "rail_unknown", "rail_busy", "rail_reads_only", "disk_full".
class channel_rail {
public:
    virtual ~channel_rail() = default;
    virtual std::string network() const = 0; // CAIP-2
    virtual x402::domain token() const = 0;
    virtual evm::channel::place channels() const = 0; // what vouchers, claims and refunds are signed for

    using tell_books = std::function<void(channel_answer)>;

    // -- the receiver's: any number of times, from any thread
    // Brings the payer's signed deposit in. `no` only where it moved nothing; it may still be brought later where its time has not come.
    virtual void fill(const evm::channel::config&, const evm::channel::deposit&, tell_books) = 0;
    // One that there never was has nothing in it.
    virtual void look(const evm::channel::config&, tell_books) = 0;
    // To the receiver: so much in all, by the payer's voucher and the word of the receiver's authorizer on this very claim.
    virtual void claim(const evm::channel::claim&, const std::string& authorizer_signature, tell_books) = 0;
    // To the payer: this much, or what is left if that is less, under the nonce that was signed.
    virtual void give_back(const evm::channel::config&, amount, std::int64_t nonce, const std::string& authorizer_signature, tell_books) = 0;

    // -- the payer's: by the key of the payer or of his authorizer, as a transaction of its own; needs nobody's consent, and takes the channel's delay
    virtual void begin_withdrawal(const evm::channel::config&, amount, const crypto::secret& by, tell_books) = 0;
    virtual void complete_withdrawal(const evm::channel::config&, const crypto::secret& by, tell_books) = 0; // "too_early", "no_withdrawal"
};

} // namespace souk
