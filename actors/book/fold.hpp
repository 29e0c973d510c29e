// What the facts of this node's money come to in its books. Pure: the same state gives the same entries, each with an id that derives from its subject, so
// that whatever is folded twice, late or out of order is entered once. A later state gives every entry that an earlier one gave, and more.
#pragma once
#include <set>

#include <souk/actors/bidder/lease.hpp>
#include <souk/actors/entity/engine.hpp>
#include <souk/actors/payments/lane.hpp>
#include <souk/actors/payments/payment.hpp>
#include <souk/actors/requester/purchase.hpp>
#include <souk/messages/book.hpp>

namespace souk::book {

struct folded {
    std::vector<entry> entries;
    std::vector<label> labels;
    std::vector<refusal> refused; // what no entry could be made of
};

// `own`: the address of this node's wallet. What goes to another, as a facilitator's callers' payments do, moves nothing of ours.
folded fold(const std::string& key, const payment::state&, const std::string& own, instant at);
// `asset`: what this node's wallet pays in. A refund is what the seller signed that he paid back; of more than was paid there is none.
folded fold(const std::string& key, const purchase::state&, const std::string& asset, instant at);
// Who is behind a contract; and of one that was paid from a channel, what that came to.
folded fold(const std::string& key, const lease::state&, const std::string& asset, instant at);

// Which facts change the above. The rest of a contract's costs nothing here.
bool is_about_money(const payment::event&);
bool is_about_money(const purchase::event&);
bool is_about_money(const lease::event&);

// What a transaction's gas cost, when it lies so deep that it is not watched any more. `key` is the lane's, `before` what it was before that fact.
folded gas_of(const std::string& key, const lane::state& before, const lane::event&, instant at);

// A payment at somebody else's door, which no entity stands for.
struct spending {
    std::string url, from, to, nonce, network, asset;
    amount value = 0;
    instant until;
};
std::string subject_of(const spending&);
result<entry> promised(const spending&, instant at);
result<entry> came_true(const details& promise, const std::string& asset, amount value, const std::string& transaction, instant at, std::optional<amount> moved = {}); // moved: less than `value`
result<entry> came_to_nothing(const details& promise, const std::string& asset, amount value, const std::string& why, instant at);
// What was there before these books: at their beginning, by the rail's word.
result<entry> opening(const std::string& address, const std::string& asset, amount value, instant at);

// Of an entity's whole past, each entry with the time of the fact that it came with; of what was compacted, of its snapshot.
template <class E, class Fold>
folded fold_past(const history& from, Fold f) {
    folded all;
    std::set<std::string> seen;
    const auto take = [&](folded x) {
        for (auto& e : x.entries)
            if (seen.insert(e.id()).second) all.entries.push_back(std::move(e));
        all.labels = std::move(x.labels), all.refused = std::move(x.refused); // those of the last state say all
    };
    auto s = from.snapshot_at ? from_journal<typename E::state>(from.snapshot) : typename E::state{};
    if (from.snapshot_at) take(f(s, from.snapshot_made));
    for (const auto& x : from.facts) {
        const auto event = from_journal<typename E::event>(x.bytes);
        s = E::evolve(std::move(s), event);
        if (is_about_money(event)) take(f(s, x.at));
    }
    return all;
}

} // namespace souk::book
