// Double entry. An entry says what one event did to this party's accounts; in each asset its postings sum to zero, or there is no such entry. Debits are
// positive: what the party holds, is owed or has spent; credits negative: what it owes or has earned.
//
//   seller   promised   receivable +  promised -         signed by the payer, not known to have moved
//            settled    wallet +      receivable -       promised +  revenue -
//            refund_owed  refunds +   payable -
//            refunded   payable +     wallet -
//   buyer    promised   promised +    payable -
//            settled    payable +     wallet -           expense +   promised -
//            refunded   wallet +      refunds -
//   either   lapsed     the promise, turned round: it never will move
//            gas        gas +         wallet -           in the chain's own coin
//            opening    wallet +      equity -           what was there before these books
//
// So over both parties of a contract that is over each asset's wallets sum to zero, and what one spent the other has earned.
#pragma once
#include <vector>

#include <souk/messages/described.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/time.hpp>

namespace souk::book {

enum class account : std::uint8_t { wallet, receivable, payable, promised, revenue, expense, refunds, gas, equity };
enum class kind : std::uint8_t { opening, promised, settled, lapsed, refund_owed, refunded, gas };

struct posting {
    account in = account::wallet;
    std::string asset; // CAIP-19
    amount value = 0;
    bool operator==(const posting&) const = default;
};
struct details {
    kind what = kind::opening;
    std::string subject;  // what of this node's it came of, "payment/PAYER/NONCE": with `what` it is the entry's identity
    std::string contract; // CID of the accept, or what else it was for
    std::string party;    // on the other side: a DID, or an address
    std::string why, transaction;
    instant at;
    instant until;        // of a promise: it lapses then
    bool operator==(const details&) const = default;
};

class entry {
public:
    static constexpr std::size_t most_postings = 16, longest_name = 512, longest_why = 500;

    // Postings of one account and asset become one. Codes "entry_unbalanced", "entry_empty", "entry_bad_amount" (none, or one that has no opposite),
    // "entry_overflow", "entry_too_long". A reason that is too long is cut.
    static result<entry> make(details, std::vector<posting>);

    const details& what() const { return what_; }
    const std::vector<posting>& postings() const { return postings_; }
    // 16 bytes: the same event has the same one, whenever and however often it is entered.
    std::string id() const;
    bool operator==(const entry&) const = default;

private:
    entry(details d, std::vector<posting> p) : what_(std::move(d)), postings_(std::move(p)) {}
    details what_;
    std::vector<posting> postings_;
};

// What else goes by a name, so that an entry that knows only a part is shown whole: of a contract, who is behind it and what it is called here; of
// a payment, which contract it pays for.
struct label {
    std::string subject, contract, party, own;
    bool operator==(const label&) const = default;
};

__extension__ using wide = __int128; // sums, which no number of entries makes overflow
std::string decimal_of(wide, int decimals);

// "eip155:8453/erc20:0x…", in lower case; and of the coin in which the chain's gas is paid, "eip155:8453/slip44:60".
std::string token_of(const std::string& network, const std::string& contract);
std::string coin_of(const std::string& network);

BOOST_DESCRIBE_ENUM(account, wallet, receivable, payable, promised, revenue, expense, refunds, gas, equity)
BOOST_DESCRIBE_ENUM(kind, opening, promised, settled, lapsed, refund_owed, refunded, gas)
BOOST_DESCRIBE_STRUCT(posting, (), (in, asset, value))
BOOST_DESCRIBE_STRUCT(details, (), (what, subject, contract, party, why, transaction, at, until))
BOOST_DESCRIBE_STRUCT(label, (), (subject, contract, party, own))

} // namespace souk::book
