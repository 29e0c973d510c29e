#include <souk/messages/evm/escrow.hpp>

#include <optional>

#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/typed_data.hpp>

namespace souk::evm::escrow {

namespace {

const std::string request_abi = "(address,address,address,uint256,bytes32,uint256,bytes32,uint64)"; // its type in a call

result<word> time_word(std::int64_t seconds) {
    if (seconds < 0) return refusal{"bad_number", "a time before 1970"};
    return number(static_cast<std::uint64_t>(seconds));
}

result<std::vector<word>> words_of(const request& r) {
    const result<word> all[] = {address_word(r.payer),      address_word(r.provider), address_word(r.token),    uint256(r.price),
                                bytes_of(r.request_hash, 32), uint256(r.credit),        bytes_of(r.nonce, 32), time_word(r.expires)};
    std::vector<word> words;
    for (const auto& w : all) {
        if (!w) return w.error();
        words.push_back(*w);
    }
    return words;
}
result<abi::item> item_of(const request& r) {
    const auto words = words_of(r);
    if (!words) return words.error();
    return abi::fixed(*words);
}

// A call whose arguments are all words.
result<std::string> call_of(std::string_view signature, const std::vector<result<word>>& words) {
    std::vector<abi::item> all;
    for (const auto& w : words) {
        if (!w) return w.error();
        all.push_back(abi::fixed(*w));
    }
    return abi::call(signature, all);
}

// Beyond 256 bits it is more than anything.
std::optional<word> sum(const word& a, const word& b) {
    auto all = a;
    unsigned carry = 0;
    for (std::size_t i = all.size(); i-- > 0;) {
        carry += static_cast<unsigned>(static_cast<unsigned char>(all[i])) + static_cast<unsigned char>(b[i]);
        all[i] = static_cast<char>(carry & 0xff);
        carry >>= 8;
    }
    if (carry) return {};
    return all;
}
bool within(const word& price, const word& promised, const word& most) {
    const auto all = sum(price, promised);
    return all && *all <= most;
}

result<void> in_time(const request& r, instant now) {
    if (std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count() >= r.expires)
        return refusal{"expired", "the request's time is over"};
    return {};
}

} // namespace

namespace {

// None: that credit has a number that no contract has come to.
std::optional<std::string> begin_of_nonce(std::int64_t expires, std::string_view credit) {
    const auto number_of_credit = uint256(credit);
    if (expires < 0 || !number_of_credit || number_of_credit->find_first_not_of('\0') < 24) return std::nullopt;
    return number(static_cast<std::uint64_t>(expires)).substr(24) + number_of_credit->substr(24);
}

} // namespace

std::string timed_nonce(std::int64_t expires, std::string_view credit, std::string_view rest) {
    auto bytes = begin_of_nonce(expires, credit).value_or(std::string(16, '\0')) + std::string(rest.substr(0, 16));
    bytes.resize(32);
    return to_hex_text(bytes);
}
bool is_timed(const request& r) {
    const auto nonce = bytes_of(r.nonce, 32);
    const auto begin = begin_of_nonce(r.expires, r.credit);
    return nonce && begin && nonce->starts_with(*begin);
}

result<std::string> digest_of(const place& p, const request& r) {
    const auto words = words_of(r);
    if (!words) return words.error();
    const auto at = domain_separator("Souk Escrow", "1", p.chain, p.contract);
    if (!at) return at.error();
    return typed_digest(
        *at,
        struct_hash(
            "Request(address payer,address provider,address token,uint256 price,bytes32 requestHash,uint256 credit,bytes32 nonce,uint64 expires)",
            *words));
}

result<signed_request> sign(const place& p, request r, const crypto::secret& key) {
    const auto digest = digest_of(p, r);
    if (!digest) return digest.error();
    const auto signature = crypto::sign_digest(key, *digest);
    if (!signature) return signature.error();
    return signed_request{std::move(r), to_hex_text(*signature)};
}

result<void> check_signature(const place& p, const signed_request& s) {
    const auto digest = digest_of(p, s.request);
    if (!digest) return digest.error();
    const auto signature = bytes_of(s.signature, 65);
    if (!signature) return refusal{"bad_signature", "not a key's signature"};
    const auto signer = crypto::recover(*digest, *signature);
    if (!signer) return refusal{"bad_signature", signer.error().text};
    if (!crypto::same_address(*signer, s.request.payer)) return refusal{"bad_signature", "signed by " + *signer + ", not by the payer"};
    return {};
}

// -- the contract -----------------------------------------------------------------------------------------------------

result<std::string> deposit_call(std::string_view token, std::string_view amount) {
    return call_of("deposit(address,uint256)", {address_word(token), uint256(amount)});
}
result<std::string> withdraw_call(std::string_view token, std::string_view amount) {
    return call_of("withdraw(address,uint256)", {address_word(token), uint256(amount)});
}
result<std::string> approve_call(std::string_view provider, std::string_view token, std::string_view price, std::string_view more) {
    return call_of("approve(address,address,uint128,uint128)", {address_word(provider), address_word(token), uint128(price), uint128(more)});
}
result<std::string> announce_call(std::string_view provider, std::string_view token, std::string_view amount) {
    return call_of("announce(address,address,uint128)", {address_word(provider), address_word(token), uint128(amount)});
}
result<std::string> release_call(std::string_view provider, std::string_view token) {
    return call_of("release(address,address)", {address_word(provider), address_word(token)});
}
result<std::string> give_back_call(std::string_view payer, std::string_view token, std::string_view amount) {
    return call_of("giveBack(address,address,uint128)", {address_word(payer), address_word(token), uint128(amount)});
}
result<std::string> grant_call(std::string_view payer, std::string_view provider, std::string_view token, std::string_view amount,
                               std::int64_t expires) {
    return call_of("grant(address,address,address,uint128,uint64)",
                   {address_word(payer), address_word(provider), address_word(token), uint128(amount), time_word(expires)});
}
result<std::string> reclaim_call(std::string_view credit) { return call_of("reclaim(uint256)", {uint256(credit)}); }

result<std::string> consume_call(const signed_request& s) {
    auto request = item_of(s.request), signature = abi::signature(s.signature);
    if (!request) return request.error();
    if (!signature) return signature.error();
    return abi::call("consume(" + request_abi + ",bytes)", {std::move(*request), std::move(*signature)});
}
result<std::string> consume_call(const std::vector<signed_request>& all) {
    if (all.size() > most_requests)
        return refusal{"too_many", std::to_string(all.size()) + " requests in one, of " + std::to_string(most_requests) + " at most"};
    std::vector<abi::item> requests, signatures;
    for (const auto& s : all) {
        auto request = item_of(s.request), signature = abi::signature(s.signature);
        if (!request) return request.error();
        if (!signature) return signature.error();
        requests.push_back(std::move(*request));
        signatures.push_back(std::move(*signature));
    }
    return abi::call("consumeAll(" + request_abi + "[],bytes[])", {abi::list(requests), abi::list(signatures)});
}

result<std::string> balance_query(std::string_view account, std::string_view token) {
    return call_of("balanceOf(address,address)", {address_word(account), address_word(token)});
}
result<std::string> allowance_query(std::string_view payer, std::string_view provider, std::string_view token) {
    return call_of("allowance(address,address,address)", {address_word(payer), address_word(provider), address_word(token)});
}
result<std::string> credit_query(std::string_view credit) { return call_of("credits(uint256)", {uint256(credit)}); }
result<std::string> used_query(std::string_view payer, std::string_view provider, std::string_view nonce) {
    return call_of("used(address,address,bytes32)", {address_word(payer), address_word(provider), bytes_of(nonce, 32)});
}

result<allowance> allowance_of(std::string_view answer) {
    const auto budget = abi::word_at(answer, 0), price = abi::word_at(answer, 1), leaving = abi::word_at(answer, 2), since = abi::word_at(answer, 3);
    if (!since) return since.error(); // the last of them
    const auto at = small(*since);
    if (!at || *at >> 40) return refusal{"bad_answer", "the contract's books name no time"};
    return allowance{to_decimal(*budget), to_decimal(*price), to_decimal(*leaving), static_cast<std::int64_t>(*at)};
}

result<credit> credit_of(std::string_view answer) {
    const auto left = abi::word_at(answer, 5);
    if (!left) return left.error(); // the last of them
    const auto expires = small(*abi::word_at(answer, 1));
    if (!expires || *expires >> 63) return refusal{"bad_answer", "the contract's books name no time"};
    const auto address = [&](std::size_t i) { return address_of(*abi::word_at(answer, i)); };
    return credit{address(0), address(2), address(3), address(4), static_cast<std::int64_t>(*expires), to_decimal(*left)};
}

result<void> covered(const request& r, const allowance& a, std::string_view promised, instant now) {
    const auto price = uint256(r.price), most = uint256(a.price), budget = uint256(a.budget), leaving = uint256(a.leaving),
               before = uint256(promised);
    for (const auto* w : {&price, &most, &budget, &leaving, &before})
        if (!*w) return w->error();
    if (const auto good = in_time(r, now); !good) return good;
    if (*price > *most) return refusal{"price_too_high", "a request costs " + a.price + " at most"};
    // What is leaving counts as gone: its notice may end in this moment.
    const auto gone = a.since == 0 ? before : result<word>(sum(*before, *leaving).value_or(word(32, '\xff')));
    if (!within(*price, *gone, *budget)) return refusal{"beyond_budget", "the budget is used up, or leaving"};
    return {};
}

result<void> covered(const request& r, const credit& c, std::string_view promised, instant now) {
    const auto price = uint256(r.price), left = uint256(c.left), before = uint256(promised);
    for (const auto* w : {&price, &left, &before})
        if (!*w) return w->error();
    if (const auto good = in_time(r, now); !good) return good;
    if (r.expires > c.expires) return refusal{"expired", "the credit ends before the request does"};
    if (!crypto::same_address(r.payer, c.payer) || !crypto::same_address(r.provider, c.provider) || !crypto::same_address(r.token, c.token))
        return refusal{"wrong_credit", "the credit is for others"};
    if (!within(*price, *before, *left)) return refusal{"beyond_budget", "the credit is used up"};
    return {};
}

namespace topic {
const std::string& consumed() {
    static const auto one = to_hex_text(abi::topic("Consumed(address,address,bytes32,address,uint256,uint256,bytes32)"));
    return one;
}
const std::string& approved() {
    static const auto one = to_hex_text(abi::topic("Approved(address,address,address,uint256,uint256,uint256)"));
    return one;
}
const std::string& announced() {
    static const auto one = to_hex_text(abi::topic("Announced(address,address,address,uint256,uint256)"));
    return one;
}
const std::string& granted() {
    static const auto one = to_hex_text(abi::topic("Granted(uint256,address,address,address,address,uint256,uint256)"));
    return one;
}
} // namespace topic

} // namespace souk::evm::escrow
