#include <souk/actors/payments/evm_looks.hpp>

#include <algorithm>

#include <souk/messages/evm/token.hpp>

namespace souk::evm_looks {

namespace {

struct search {
    std::shared_ptr<evm::chain> on;
    evm::log_filter what;
    std::uint64_t newest = 0;
    span within;
    std::function<void(result<std::optional<evm::receipt>>)> then;
};

void step(search s, std::uint64_t searched) {
    if (searched >= s.within.back || searched > s.newest) return s.then(std::optional<evm::receipt>());
    s.what.to = s.newest - searched, s.what.from = s.what.to - std::min(s.what.to, s.within.step - 1);
    s.on->logs(s.what, [s](result<std::vector<evm::log>> found) {
        if (!found) return s.then(refusal{"rail_unknown", found.error().text});
        if (found->empty()) return step(s, s.newest - s.what.from + 1);
        s.on->receipt_of(found->back().transaction, [s](result<std::optional<evm::receipt>> r) {
            if (!r || !*r) return s.then(refusal{"rail_unknown", r ? "a transaction that the node has logs of, and no receipt" : r.error().text});
            s.then(std::move(*r));
        });
    });
}

} // namespace

void deep_block(const std::shared_ptr<evm::chain>& on, std::int64_t confirmations, std::function<void(result<evm::block>, std::uint64_t)> then) {
    on->head([on, confirmations, then](result<evm::block> head) {
        if (!head) return then(head.error(), 0);
        const auto depth = static_cast<std::uint64_t>(std::max<std::int64_t>(confirmations, 1)) - 1;
        on->block_at(head->number - std::min(depth, head->number), [then, newest = head->number](result<evm::block> b) { then(std::move(b), newest); });
    });
}

void find_use(const std::shared_ptr<evm::chain>& on, const std::string& asset, const std::string& from, const std::string& nonce, std::uint64_t newest, span within,
              std::function<void(result<std::optional<evm::receipt>>)> then) {
    const auto who = evm::address_word(from);
    const auto which = evm::bytes_of(nonce, 32);
    if (!who || !which) return then(refusal{"rail_unknown", "no such nonce"});
    search s{on, {}, newest, within, std::move(then)};
    s.what.address = asset, s.what.topics = {evm::token::authorization_used(), evm::to_hex_text(*who), evm::to_hex_text(*which)};
    step(std::move(s), 0);
}

} // namespace souk::evm_looks
