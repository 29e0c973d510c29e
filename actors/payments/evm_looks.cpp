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

struct log_search {
    std::shared_ptr<evm::chain> on;
    evm::log_filter what;
    std::uint64_t newest = 0;
    span within;
    std::size_t left = 0;
    known_by is_it;
    std::function<void(result<std::optional<evm::log>>)> then;
};

void log_step(std::shared_ptr<log_search> s, std::uint64_t searched);
// The last of these, then the one before it.
void log_each(std::shared_ptr<log_search> s, std::vector<evm::log> found) {
    if (found.empty()) return log_step(s, s->newest - s->what.from + 1);
    if (s->left-- == 0) return s->left = 0, s->then(refusal{"rail_unknown", "more transfers than are looked through"});
    auto one = std::move(found.back());
    found.pop_back();
    const auto& shown = one;
    s->is_it(shown, [s, one, found = std::move(found)](result<bool> yes) mutable {
        if (!yes) return s->then(yes.error());
        if (*yes) return s->then(std::optional(std::move(one)));
        log_each(s, std::move(found));
    });
}
void log_step(std::shared_ptr<log_search> s, std::uint64_t searched) {
    if (searched >= s->within.back || searched > s->newest) return s->then(std::optional<evm::log>());
    s->what.to = s->newest - searched, s->what.from = s->what.to - std::min(s->what.to, s->within.step - 1);
    s->on->logs(s->what, [s](result<std::vector<evm::log>> found) {
        if (!found) return s->then(refusal{"rail_unknown", found.error().text});
        log_each(s, std::move(*found));
    });
}

} // namespace

void find_log(const std::shared_ptr<evm::chain>& on, evm::log_filter what, std::uint64_t newest, span within, std::size_t most, known_by is_it,
              std::function<void(result<std::optional<evm::log>>)> then) {
    log_step(std::make_shared<log_search>(log_search{on, std::move(what), newest, within, most, std::move(is_it), std::move(then)}), 0);
}

result<std::string> inner_signature(std::string_view hex) {
    auto signature = evm::bytes_of(hex, evm::any_size);
    if (!signature || !evm::token::is_wrapped(*signature)) return signature;
    auto w = evm::token::unwrap(*signature);
    if (!w) return w.error();
    return std::move(w->inner);
}

void check_signature(const std::shared_ptr<evm::chain>& on, const std::string& who, const std::string& digest, const std::string& hex, std::function<void(result<void>)> then) {
    const auto signature = evm::bytes_of(hex, evm::any_size);
    if (!signature) return then(refusal{"not_signed", "the signature is not 0x and hexadecimal"});
    on->code(who, [on, who, digest, hex, signature = *signature, then](result<std::string> code) {
        if (!code) return then(refusal{"rail_unknown", code.error().text});
        if (code->empty()) {
            if (evm::token::is_wrapped(signature)) return then(refusal{"eip6492_factory_not_allowed", "the payer's wallet is not deployed, and this node deploys none"});
            const auto signer = crypto::recover(digest, signature);
            if (!signer) return then(refusal{"not_signed", signer.error().text});
            if (!crypto::same_address(*signer, who)) return then(refusal{"not_signed", "signed by " + *signer + ", not by the one who pays"});
            return then({});
        }
        const auto inner = inner_signature(hex);
        const auto call = inner ? evm::token::is_valid_signature(digest, *inner) : inner;
        if (!call) return then(refusal{"not_signed", call.error().text});
        on->call({}, who, *call, std::nullopt, [then](result<evm::called> c) {
            if (!c) return then(refusal{"rail_unknown", c.error().text});
            if (c->reverted || !evm::token::is_yes(c->data)) return then(refusal{"not_signed", "the payer's contract does not take this signature as its own"});
            then({});
        });
    });
}

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
