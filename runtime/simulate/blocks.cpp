#include <souk/runtime/simulate/blocks.hpp>

#include <algorithm>
#include <numeric>

#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/rlp.hpp>
#include <souk/messages/evm/token.hpp>

namespace souk::simulate {

namespace abi = evm::abi;
namespace token = evm::token;
using namespace std::chrono_literals;

namespace {

// One item of RLP off the front: its content, and whether it is a list. What is cut short is none.
struct item {
    std::string_view content;
    bool list = false;
};
std::optional<item> next_item(std::string_view& in) {
    if (in.empty()) return std::nullopt;
    const auto first = static_cast<unsigned char>(in[0]);
    const auto take = [&in](std::size_t from, std::size_t size, bool list) -> std::optional<item> {
        if (in.size() < from || in.size() - from < size) return std::nullopt;
        item it{in.substr(from, size), list};
        in.remove_prefix(from + size);
        return it;
    };
    if (first < 0x80) return take(0, 1, false);
    const bool list = first >= 0xc0;
    const std::size_t size = first - (list ? 0xc0u : 0x80u);
    if (size < 56) return take(1, size, list);
    const auto digits = size - 55;
    if (digits > 4 || in.size() < 1 + digits) return std::nullopt;
    std::size_t long_size = 0;
    for (std::size_t i = 0; i < digits; ++i) long_size = long_size << 8 | static_cast<unsigned char>(in[1 + i]);
    return take(1 + digits, long_size, list);
}
std::uint64_t number_in(std::string_view bytes) {
    std::uint64_t n = 0;
    for (const char c : bytes.substr(0, 8)) n = n << 8 | static_cast<unsigned char>(c);
    return n;
}
std::string padded(std::string_view bytes) { return std::string(32 - std::min<std::size_t>(32, bytes.size()), '\0') + std::string(bytes.substr(0, 32)); }

} // namespace

blocks::blocks(universe& u, x402::domain of, std::uint64_t deepest_fork) : u_(u), token_(std::move(of)), at_(lower(token_.contract)), deepest_(deepest_fork) {
    mined first;
    first.head.hash = evm::to_hex_text(crypto::keccak256("the first block")), first.head.base_fee = base_fee_;
    first.head.time_s = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(u_.now().time_since_epoch()).count());
    first.after = std::make_shared<state>();
    chain_.push_back(std::move(first));
    u_.later(every, [this] { go_on(); });
}

void blocks::fund(const std::string& address, amount a) {
    auto s = std::make_shared<state>(*chain_.front().after);
    s->balances[lower(address)] += a;
    chain_.front().after = std::move(s);
}

amount blocks::balance(const std::string& address) const {
    const auto& all = chain_.back().after->balances;
    const auto found = all.find(lower(address));
    return found == all.end() ? 0 : found->second;
}
amount blocks::supply() const {
    const auto& all = chain_.back().after->balances;
    return std::accumulate(all.begin(), all.end(), amount{0}, [](amount sum, const auto& x) { return sum + x.second; });
}
const blocks::transfer* blocks::used(const std::string& from, const std::string& nonce) const {
    const auto& all = chain_.back().after->used;
    const auto found = all.find({lower(from), lower(nonce)});
    return found == all.end() ? nullptr : &found->second;
}
std::size_t blocks::transfers() const { return chain_.back().after->used.size(); }
instant blocks::time() const { return instant{std::chrono::seconds{chain_.back().head.time_s}}; }

// -- transactions ------------------------------------------------------------------------------------------------------------

std::optional<blocks::transaction> blocks::read(const std::string& raw) const {
    if (raw.empty() || raw[0] != 2) return std::nullopt;
    std::string_view rest(raw);
    rest.remove_prefix(1);
    const auto all = next_item(rest);
    if (!all || !all->list || !rest.empty()) return std::nullopt;
    auto inside = all->content;
    std::vector<std::string_view> fields;
    std::string_view is_signed;
    for (int i = 0; i < 12; ++i) {
        const auto one = next_item(inside);
        if (!one) return std::nullopt;
        fields.push_back(one->content);
        if (i == 8) is_signed = all->content.substr(0, all->content.size() - inside.size());
    }
    if (!inside.empty() || number_in(fields[0]) != token_.chain_id) return std::nullopt;
    const auto digest = crypto::keccak256('\2' + evm::rlp::list(is_signed));
    const auto signer = crypto::recover(digest, padded(fields[10]) + padded(fields[11]) + static_cast<char>(27 + number_in(fields[9])));
    if (!signer) return std::nullopt;
    return transaction{evm::to_hex_text(crypto::keccak256(raw)), lower(*signer), evm::to_hex_text(fields[5]), std::string(fields[7]), number_in(fields[1]), number_in(fields[2]), number_in(fields[3])};
}

void blocks::bring(const std::string& raw) {
    if (auto t = read(raw)) waiting_.emplace(t->hash, std::move(*t));
}

result<blocks::transfer> blocks::execute(state& s, const std::string& data, std::uint64_t time_s, const std::string& by, std::vector<evm::log>* logs) const {
    static const auto known = abi::selector("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)");
    if (data.size() != 4 + 9 * 32 || !data.starts_with(known)) return refusal{"reverted", "no such function"};
    const auto word = [&data](std::size_t i) { return data.substr(4 + 32 * i, 32); };
    x402::authorization a{evm::address_of(word(0)), evm::address_of(word(1)), evm::to_decimal(word(2)), evm::to_decimal(word(3)), evm::to_decimal(word(4)), evm::to_hex_text(word(5))};
    const auto digest = x402::digest_of(token_, a);
    const auto signer = digest ? crypto::recover(*digest, word(7) + word(8) + word(6).back()) : result<crypto::address>(digest.error());
    if (!signer || !crypto::same_address(*signer, a.from)) return refusal{"reverted", "invalid signature"};
    const auto from = evm::small(word(3)), until = evm::small(word(4)), value = evm::small(word(2));
    if (!from || !until || !value || time_s <= *from) return refusal{"reverted", "not yet valid"};
    if (time_s >= *until) return refusal{"reverted", "authorization is expired"};
    const std::pair key{a.from, a.nonce};
    if (s.used.contains(key)) return refusal{"reverted", "authorization is used"};
    auto& payer = s.balances[a.from];
    const auto sum = static_cast<amount>(*value);
    if (payer < sum) return refusal{"reverted", "transfer amount exceeds balance"};
    payer -= sum;
    s.balances[a.to] += sum;
    transfer t{a.from, a.to, *digest, by, sum};
    s.used.emplace(key, t);
    if (logs) {
        logs->push_back({at_, {token::authorization_used(), evm::to_hex_text(word(0)), a.nonce}, {}, by, 0});
        logs->push_back({at_, {token::transferred(), evm::to_hex_text(word(0)), evm::to_hex_text(word(1))}, word(2), by, 0});
    }
    return t;
}

// -- blocks ------------------------------------------------------------------------------------------------------------------

void blocks::go_on() {
    if (u_.strikes(hazard::rewind, 40) && chain_.size() > deepest_ + 1) fork();
    mine();
    u_.later(every, [this] { go_on(); });
}

// The other fork is a block longer. Of what was mined here, some is forgotten, and has to be brought again.
void blocks::fork() {
    ++forks_;
    const auto depth = 1 + u_.chance().next() % deepest_;
    u_.tell("", "the chain forks, " + std::to_string(depth) + " deep");
    for (std::uint64_t i = 0; i < depth; ++i) {
        for (auto& t : chain_.back().what)
            if (!u_.chance().one_in(3)) waiting_.emplace(t.hash, t);
        chain_.pop_back();
    }
    for (std::uint64_t i = 0; i < depth; ++i) mine();
}

void blocks::mine() {
    mined b;
    b.head.number = chain_.back().head.number + 1;
    b.head.time_s = std::max<std::uint64_t>(static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(u_.now().time_since_epoch()).count()), chain_.back().head.time_s + 1);
    b.head.hash = evm::to_hex_text(crypto::keccak256(chain_.back().head.hash + "/" + std::to_string(++made_)));
    // Busy hours: what pays too little waits, and is offered more for.
    if (u_.strikes(hazard::delay, 30)) base_fee_ = std::min<std::uint64_t>(base_fee_ * 4, 80'000'000'000);
    else base_fee_ = std::max<std::uint64_t>(base_fee_ * 7 / 8, 1'000'000'000);
    b.head.base_fee = base_fee_;
    auto after = std::make_shared<state>(*chain_.back().after);

    for (bool one_more = true; one_more;) {
        one_more = false;
        std::map<std::string, const transaction*> next; // of each signer, the dearest with the nonce that is his turn
        for (const auto& [hash, t] : waiting_) {
            if (t.most < base_fee_ || t.nonce != after->nonces[t.signer]) continue;
            auto& best = next[t.signer];
            if (!best || t.tip > best->tip) best = &t;
        }
        for (const auto& [signer, t] : next) {
            if (u_.strikes(hazard::drop, 60)) continue; // this block had no room for it
            evm::receipt r{t->hash, b.head.hash, b.head.number, 60'000, false, {}};
            r.succeeded = t->to == at_ && execute(*after, t->data, b.head.time_s, t->hash, &r.logs).has_value();
            if (!r.succeeded) r.logs.clear(), ++reverted_;
            for (auto& l : r.logs) l.block = b.head.number;
            ++after->nonces[signer];
            b.receipts.emplace(t->hash, std::move(r));
            b.what.push_back(*t);
            one_more = true;
        }
        std::erase_if(waiting_, [&](const auto& x) { return x.second.nonce < after->nonces[x.second.signer]; });
    }
    b.after = std::move(after);
    chain_.push_back(std::move(b));
}

// -- a node of it ------------------------------------------------------------------------------------------------------------

template <class T>
void blocks_view::ask(evm::tell<T> tell, std::function<result<T>(std::uint64_t)> of) {
    if (!*by_) return;
    const auto there = u_.chance().between(2ms, 60ms), back = u_.chance().between(2ms, 60ms);
    if (u_.strikes(hazard::rail_error, 30)) return u_.later(by_, there, [tell] { tell(refusal{"rpc_unreachable", "the node does not answer"}); });
    const bool unheard = u_.strikes(hazard::drop, 15);
    u_.later(there, [this, tell, of = std::move(of), back, unheard] { // it is asked, whatever becomes of who asked
        const auto newest = blocks_.chain_.size() - 1;
        const auto behind = u_.strikes(hazard::rail_lag, 100) ? u_.chance().next() % 4 : 0;
        auto said = of(newest - std::min<std::uint64_t>(behind, newest));
        if (unheard) said = refusal{"rpc_unknown", "no answer in time"};
        u_.later(by_, unheard ? milliseconds{15s} : back, [tell, said = std::move(said)] { tell(said); });
    });
}

namespace {
const refusal not_there{"rpc_refused", "header not found"};
}

std::uint64_t blocks_view::id() const { return blocks_.token_.chain_id; }
void blocks_view::head(evm::tell<evm::block> tell) {
    ask<evm::block>(std::move(tell), [this](std::uint64_t newest) -> result<evm::block> { return blocks_.chain_[newest].head; });
}
void blocks_view::block_at(std::uint64_t number, evm::tell<evm::block> tell) {
    ask<evm::block>(std::move(tell), [this, number](std::uint64_t newest) -> result<evm::block> {
        if (number > newest) return not_there;
        return blocks_.chain_[number].head;
    });
}
void blocks_view::code(const std::string& address, evm::tell<std::string> tell) {
    ask<std::string>(std::move(tell), [this, address](std::uint64_t) -> result<std::string> { return std::string(lower(address) == blocks_.at_ ? "code" : ""); });
}
void blocks_view::call(const std::string&, const std::string& to, const std::string& data, std::optional<std::uint64_t> at, evm::tell<evm::called> tell) {
    ask<evm::called>(std::move(tell), [this, to, data, at](std::uint64_t newest) -> result<evm::called> {
        if (at && *at > newest) return not_there;
        const auto& block = blocks_.chain_[at ? *at : newest];
        const auto& s = *block.after;
        if (lower(to) != blocks_.at_) return evm::called{false, {}};
        const auto is = [&data](const char* signature) { return data.starts_with(abi::selector(signature)); };
        if (is("balanceOf(address)")) {
            const auto found = s.balances.find(evm::address_of(data.substr(4, 32)));
            return evm::called{false, evm::number(found == s.balances.end() ? 0 : static_cast<std::uint64_t>(found->second))};
        }
        if (is("authorizationState(address,bytes32)"))
            return evm::called{false, evm::number(s.used.contains({evm::address_of(data.substr(4, 32)), evm::to_hex_text(data.substr(36, 32))}))};
        if (is("name()") || is("version()")) return evm::called{false, abi::encode({abi::bytes(is("name()") ? blocks_.token_.name : blocks_.token_.version)})};
        auto then = s;
        if (const auto done = blocks_.execute(then, data, block.head.time_s + 1, {}, nullptr); !done)
            return evm::called{true, abi::call("Error(string)", {abi::bytes(done.error().text)})};
        return evm::called{false, {}};
    });
}
void blocks_view::nonce(const std::string& address, bool with_waiting, evm::tell<std::uint64_t> tell) {
    ask<std::uint64_t>(std::move(tell), [this, who = lower(address), with_waiting](std::uint64_t newest) -> result<std::uint64_t> {
        const auto& nonces = blocks_.chain_[newest].after->nonces;
        const auto found = nonces.find(who);
        auto next = found == nonces.end() ? 0 : found->second;
        const auto waits = [&] { return std::any_of(blocks_.waiting_.begin(), blocks_.waiting_.end(), [&](const auto& x) { return x.second.signer == who && x.second.nonce == next; }); };
        while (with_waiting && waits()) ++next;
        return next;
    });
}
void blocks_view::balance(const std::string&, evm::tell<evm::word> tell) {
    ask<evm::word>(std::move(tell), [](std::uint64_t) -> result<evm::word> { return evm::number(1'000'000'000'000'000'000); });
}
void blocks_view::tip(evm::tell<std::uint64_t> tell) {
    ask<std::uint64_t>(std::move(tell), [](std::uint64_t) -> result<std::uint64_t> { return 1'000'000; });
}
void blocks_view::estimate(const std::string&, const std::string& to, const std::string& data, evm::tell<std::uint64_t> tell) {
    ask<std::uint64_t>(std::move(tell), [this, to, data](std::uint64_t newest) -> result<std::uint64_t> {
        if (lower(to) != blocks_.at_) return std::uint64_t{21'000};
        auto then = *blocks_.chain_[newest].after;
        if (const auto done = blocks_.execute(then, data, blocks_.chain_[newest].head.time_s + 1, {}, nullptr); !done) return done.error();
        return std::uint64_t{60'000};
    });
}
void blocks_view::send(const std::string& raw, evm::tell<void> tell) {
    ask<void>(std::move(tell), [this, raw](std::uint64_t newest) -> result<void> {
        const auto t = blocks_.read(raw);
        if (!t) return refusal{"rpc_refused", "this is no transaction"};
        if (blocks_.waiting_.contains(t->hash)) return {};
        const auto& nonces = blocks_.chain_[newest].after->nonces;
        const auto found = nonces.find(t->signer);
        if (t->nonce < (found == nonces.end() ? 0 : found->second)) return refusal{"nonce_too_low", "nonce too low"};
        for (const auto& [hash, other] : blocks_.waiting_)
            if (other.signer == t->signer && other.nonce == t->nonce && t->most < other.most + other.most / 10) return refusal{"underpriced", "replacement transaction underpriced"};
        blocks_.waiting_.emplace(t->hash, *t);
        return {};
    });
}
void blocks_view::receipt_of(const std::string& transaction, evm::tell<std::optional<evm::receipt>> tell) {
    using maybe = std::optional<evm::receipt>;
    ask<maybe>(std::move(tell), [this, transaction](std::uint64_t newest) -> result<maybe> {
        for (auto at = newest + 1; at-- > 0;)
            if (const auto found = blocks_.chain_[at].receipts.find(transaction); found != blocks_.chain_[at].receipts.end()) return maybe(found->second);
        return maybe();
    });
}
void blocks_view::logs(const evm::log_filter& f, evm::tell<std::vector<evm::log>> tell) {
    using all = std::vector<evm::log>;
    ask<all>(std::move(tell), [this, f](std::uint64_t newest) -> result<all> {
        all out;
        for (auto at = f.from; at <= std::min(f.to, newest); ++at)
            for (const auto& [hash, r] : blocks_.chain_[at].receipts)
                for (const auto& l : r.logs) {
                    bool fits = l.address == f.address && l.topics.size() >= f.topics.size();
                    for (std::size_t i = 0; fits && i < f.topics.size(); ++i) fits = !f.topics[i] || *f.topics[i] == l.topics[i];
                    if (fits) out.push_back(l);
                }
        return out;
    });
}

} // namespace souk::simulate
