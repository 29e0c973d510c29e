#include <souk/actors/payments/lane_world.hpp>

#include <algorithm>
#include <limits>

#include <souk/messages/evm/transaction.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto doubt_for = 30s; // a node may be behind: nobody is said to have taken a nonce of ours before that

std::int64_t bounded(std::uint64_t n) { return static_cast<std::int64_t>(std::min<std::uint64_t>(n, std::numeric_limits<std::int64_t>::max() / 4)); }
// Nodes take a replacement only where it pays a tenth more; an eighth leaves room for their rounding.
std::int64_t above(std::int64_t before) { return before + before / 8 + 1; }

lane::place place_of(const evm::receipt& r, const lane::expected_log& expects, std::int64_t price) {
    lane::place p;
    p.hash = r.transaction, p.block_hash = r.block_hash, p.block = bounded(r.block), p.gas_used = bounded(r.gas_used), p.gas_price = price;
    const bool said = expects.address.empty() || std::any_of(r.logs.begin(), r.logs.end(), [&](const evm::log& l) {
                          return l.address == expects.address && l.data == expects.data.data && l.topics.size() >= expects.topics.size() &&
                                 std::equal(expects.topics.begin(), expects.topics.end(), l.topics.begin());
                      });
    p.succeeded = r.succeeded && said;
    if (!r.succeeded) p.why = "invalid_exact_evm_transaction_failed: the contract reverted it";
    else if (!said) p.why = "invalid_exact_evm_transfer_event_mismatch: it went through, and the contract did not say that it did what was asked";
    return p;
}

// One after the other, until one is in a block.
void first_mined(const std::shared_ptr<evm::chain>& on, std::vector<std::string> hashes, std::size_t at, std::function<void(result<std::optional<std::pair<std::size_t, evm::receipt>>>)> then) {
    if (at == hashes.size()) return then(std::optional<std::pair<std::size_t, evm::receipt>>());
    const auto hash = hashes[at];
    on->receipt_of(hash, [on, hashes = std::move(hashes), at, then](result<std::optional<evm::receipt>> r) mutable {
        if (!r) return then(r.error());
        if (*r) return then(std::optional(std::pair{at, std::move(**r)}));
        first_mined(on, std::move(hashes), at + 1, std::move(then));
    });
}

} // namespace

void lane_world::perform(const lane::estimate& f, reply_to<lane::estimate> tell) {
    core_->on->nonce(f.signer, true, [on = core_->on, f, tell](result<std::uint64_t> next) {
        if (!next) return tell({f, verdict::unknown, {}, next.error().text});
        on->estimate(f.signer, f.what.to, f.what.data.data, [f, tell, next = *next](result<std::uint64_t> gas) {
            outcome<lane::estimate> o{f, verdict::done, {0, bounded(next), std::nullopt}, {}};
            if (!gas && gas.error().code != "reverted") return tell({f, verdict::unknown, {}, gas.error().code + ": " + gas.error().text});
            if (!gas) o.found.refused = refusal{"reverted", gas.error().text};
            else if (bounded(*gas) > f.what.most_gas)
                o.found.refused = refusal{"gas_too_much", "it would take " + std::to_string(*gas) + " units of gas, " + std::to_string(f.what.most_gas) + " are allowed"};
            else o.found.gas = std::min(f.what.most_gas, bounded(*gas) + bounded(*gas) / 5); // a state that changes meanwhile may take more
            tell(std::move(o));
        });
    });
}

void lane_world::perform(const lane::sign& f, reply_to<lane::sign> tell) {
    const auto key = core_->keys.find(f.signer);
    if (key == core_->keys.end()) return tell({f, verdict::unknown, {}, "this node no longer has the key of " + f.signer});
    core_->on->head([c = core_, f, tell, &secret = key->second](result<evm::block> head) {
        if (!head) return tell({f, verdict::unknown, {}, head.error().text});
        c->on->tip([c, f, tell, base = bounded(head->base_fee), &secret](result<std::uint64_t> usual) {
            if (!usual) return tell({f, verdict::unknown, {}, usual.error().text});
            auto tip = std::max({bounded(*usual), c->terms.least_tip, f.above_tip ? above(f.above_tip) : 0});
            auto most = std::max(2 * base + tip, f.above_most ? above(f.above_most) : 0); // two full blocks in a row are a quarter more
            if (most > c->terms.most_fee) most = c->terms.most_fee;
            if (most < base + 1 || (f.above_most && most < above(f.above_most)))
                return tell({f, verdict::unknown, {}, "gas_too_dear: " + std::to_string(base) + " wei a unit, " + std::to_string(c->terms.most_fee) + " are allowed"});
            tip = std::min(tip, most);
            evm::transaction t;
            t.chain = c->on->id(), t.nonce = static_cast<std::uint64_t>(f.nonce), t.tip = static_cast<std::uint64_t>(tip), t.most = static_cast<std::uint64_t>(most);
            t.gas = static_cast<std::uint64_t>(f.gas), t.to = f.what.to, t.data = f.what.data.data;
            auto made = evm::sign(t, secret);
            if (!made) return tell({f, verdict::unknown, {}, made.error().text});
            tell({f, verdict::done, {{made->hash, std::move(made->raw), tip, most}}, {}});
        });
    });
}

void lane_world::perform(const lane::land& f, reply_to<lane::land> tell) {
    core_->on->send(f.raw.data, [c = core_, f, tell](result<void> sent) {
        const auto why = sent ? refusal{"", "not in a block yet"} : sent.error();
        first_mined(c->on, f.hashes, 0, [c, f, tell, why](result<std::optional<std::pair<std::size_t, evm::receipt>>> r) {
            if (!r) return tell({f, verdict::unknown, {}, r.error().text});
            if (*r) return tell({f, verdict::done, {place_of((*r)->second, f.expects, f.prices[(*r)->first]), false}, {}});
            const auto unknown = [f, tell, why] { tell({f, verdict::unknown, {}, why.code.empty() ? why.text : why.code + ": " + why.text}); };
            if (why.code != "nonce_too_low" || c->now() < f.since + doubt_for) return unknown();
            c->on->nonce(f.signer, false, [f, tell, unknown](result<std::uint64_t> next) {
                if (!next || bounded(*next) <= f.nonce) return unknown();
                tell({f, verdict::done, {std::nullopt, true}, {}});
            });
        });
    });
}

void lane_world::perform(const lane::bury& f, reply_to<lane::bury> tell) {
    core_->on->block_at(static_cast<std::uint64_t>(f.at.block), [c = core_, f, tell](result<evm::block> there) {
        if (!there) return tell({f, verdict::unknown, {}, there.error().text});
        if (there->hash != f.at.block_hash) return tell({f, verdict::done, {true}, {}});
        c->on->head([c, f, tell](result<evm::block> head) {
            if (!head) return tell({f, verdict::unknown, {}, head.error().text});
            const auto depth = bounded(head->number) - f.at.block + 1, wanted = f.for_good ? c->terms.watched : c->terms.confirmations;
            if (depth < wanted) return tell({f, verdict::unknown, {}, std::to_string(depth) + " of " + std::to_string(wanted) + " blocks deep"});
            tell({f, verdict::done, {false}, {}});
        });
    });
}

} // namespace souk
