#include <souk/messages/evm/channel.hpp>

#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/typed_data.hpp>

namespace souk::evm::channel {

namespace {

using std::chrono::seconds;

constexpr std::string_view config_type =
    "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 "
    "salt)";
const std::string config_abi = "(address,address,address,address,address,uint40,bytes32)"; // its type in a call
const std::string claims_abi = "((" + config_abi + ",uint128),bytes,uint128)[]";
constexpr std::string_view entry_type = "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)";
constexpr std::string_view no_address = "0x0000000000000000000000000000000000000000";
constexpr seconds settlement_time{6};               // as for other payments: what is left must cover the transaction

refusal invalid(std::string_view what, std::string text) { return {"invalid_batch_settlement_evm_" + std::string(what), std::move(text)}; }

result<std::string> separator(const place& p) { return domain_separator("x402 Batch Settlement", "1", p.chain, p.contract); }
result<std::string> digest(const place& p, std::string_view type, const std::vector<word>& members) {
    const auto at = separator(p);
    if (!at) return at.error();
    return typed_digest(*at, struct_hash(type, members));
}

result<std::vector<word>> words_of(const config& c) {
    std::vector<word> all;
    for (const auto* a : {&c.payer, &c.payerAuthorizer, &c.receiver, &c.receiverAuthorizer, &c.token}) {
        auto w = address_word(*a);
        if (!w) return w.error();
        all.push_back(std::move(*w));
    }
    if (c.withdrawDelay < 0 || c.withdrawDelay >> 40) return refusal{"bad_number", "a delay beyond 40 bits"};
    all.push_back(number(static_cast<std::uint64_t>(c.withdrawDelay)));
    auto salt = bytes_of(c.salt, 32);
    if (!salt) return salt.error();
    all.push_back(std::move(*salt));
    return all;
}
result<abi::item> item_of(const config& c) {
    const auto words = words_of(c);
    if (!words) return words.error();
    return abi::fixed(*words);
}
result<abi::item> items_of(const std::vector<claim>& claims) {
    if (claims.size() > most_claims)
        return refusal{"too_many", std::to_string(claims.size()) + " claims in one, of " + std::to_string(most_claims) + " at most"};
    std::vector<abi::item> all;
    for (const auto& c : claims) {
        const auto channel = item_of(c.voucher.channel);
        if (!channel) return channel.error();
        const auto most = uint128(c.voucher.maxClaimableAmount), total = uint128(c.totalClaimed);
        if (!most) return most.error();
        if (!total) return total.error();
        auto signature = abi::signature(c.signature);
        if (!signature) return signature.error();
        all.push_back(abi::tuple({abi::fixed(channel->bytes + *most), std::move(*signature), abi::fixed(*total)}));
    }
    return abi::list(all);
}

// A call with a channel and an amount in front.
result<std::string> call_of(std::string_view signature, const config& c, std::string_view amount, std::vector<abi::item> rest) {
    auto channel = item_of(c);
    if (!channel) return channel.error();
    const auto much = uint128(amount);
    if (!much) return much.error();
    rest.insert(rest.begin(), {std::move(*channel), abi::fixed(*much)});
    return abi::call(signature, rest);
}

result<std::string> query(std::string_view signature, std::string_view channel_id) {
    const auto id = bytes_of(channel_id, 32);
    if (!id) return id.error();
    return abi::call(signature, {abi::fixed(*id)});
}

} // namespace

result<payload> payload_of(const value& v) {
    const auto type = v.text("type");
    auto read = [&]<class T>(std::type_identity<T>) -> result<payload> {
        auto one = from_value<T>(v, unknown_fields::ignore);
        if (!one) return one.error();
        return payload(std::move(*one));
    };
    if (type == "deposit") return read(std::type_identity<deposit_payload>());
    if (type == "voucher") return read(std::type_identity<voucher_payload>());
    if (type == "refund") return read(std::type_identity<refund_payload>());
    if (type == "claim") return read(std::type_identity<claim_payload>());
    if (type == "settle") return read(std::type_identity<settle_payload>());
    return invalid("payload_type", "the payload's type is none of deposit, voucher, refund, claim, settle");
}

// -- what is signed ---------------------------------------------------------------------------------------------------

result<std::string> id_of(const place& p, const config& c) {
    const auto words = words_of(c);
    if (!words) return words.error();
    return digest(p, config_type, *words);
}

result<std::string> voucher_digest(const place& p, std::string_view channel_id, std::string_view most) {
    const auto id = bytes_of(channel_id, 32);
    if (!id) return id.error();
    const auto amount = uint128(most);
    if (!amount) return amount.error();
    return digest(p, "Voucher(bytes32 channelId,uint128 maxClaimableAmount)", {*id, *amount});
}

result<std::string> refund_digest(const place& p, std::string_view channel_id, std::string_view nonce, std::string_view amount) {
    const auto id = bytes_of(channel_id, 32);
    if (!id) return id.error();
    const auto n = uint256(nonce), much = uint128(amount);
    if (!n) return n.error();
    if (!much) return much.error();
    return digest(p, "Refund(bytes32 channelId,uint256 nonce,uint128 amount)", {*id, *n, *much});
}

result<std::string> claims_digest(const place& p, const std::vector<claim>& claims) {
    if (claims.size() > most_claims)
        return refusal{"too_many", std::to_string(claims.size()) + " claims in one, of " + std::to_string(most_claims) + " at most"};
    std::string entries;
    for (const auto& c : claims) {
        const auto id = id_of(p, c.voucher.channel);
        if (!id) return id.error();
        const auto most = uint128(c.voucher.maxClaimableAmount), total = uint128(c.totalClaimed);
        if (!most) return most.error();
        if (!total) return total.error();
        entries += struct_hash(entry_type, {*id, *most, *total});
    }
    return digest(p, "ClaimBatch(ClaimEntry[] claims)" + std::string(entry_type), {crypto::keccak256(entries)});
}

result<std::string> deposit_nonce(std::string_view channel_id, std::string_view salt) {
    const auto id = bytes_of(channel_id, 32), more = bytes_of(salt, 32);
    if (!id) return id.error();
    if (!more) return more.error();
    return crypto::keccak256(*id + *more);
}

result<std::string> deposit_digest(const place& p, const x402::domain& token, const config& c, const deposit& d) {
    const auto& a = d.authorization.erc3009Authorization;
    const auto id = id_of(p, c);
    if (!id) return id.error();
    const auto nonce = deposit_nonce(to_hex_text(*id), a.salt);
    if (!nonce) return nonce.error();
    const auto from = address_word(c.payer), to = address_word(p.collector);
    if (!from) return from.error();
    if (!to) return to.error();
    const auto value = uint128(d.amount), after = uint256(a.validAfter), before = uint256(a.validBefore);
    if (!value) return value.error();
    if (!after) return after.error();
    if (!before) return before.error();
    const auto at = domain_separator(token.name, token.version, token.chain_id, token.contract);
    if (!at) return at.error();
    return typed_digest(
        *at, struct_hash("ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
                         {*from, *to, *value, *after, *before, *nonce}));
}

result<voucher> sign_voucher(const place& p, const config& c, std::string_view most, const crypto::secret& key) {
    const auto id = id_of(p, c);
    if (!id) return id.error();
    voucher v{to_hex_text(*id), std::string(most), {}};
    const auto what = voucher_digest(p, v.channelId, most);
    if (!what) return what.error();
    const auto signature = crypto::sign_digest(key, *what);
    if (!signature) return signature.error();
    v.signature = to_hex_text(*signature);
    return v;
}

result<void> sign_deposit(const place& p, const x402::domain& token, const config& c, deposit& d, const crypto::secret& key) {
    const auto what = deposit_digest(p, token, c, d);
    if (!what) return what.error();
    const auto signature = crypto::sign_digest(key, *what);
    if (!signature) return signature.error();
    d.authorization.erc3009Authorization.signature = to_hex_text(*signature);
    return {};
}

// -- rules ------------------------------------------------------------------------------------------------------------

result<terms> terms_of(const x402::requirements& r) {
    if (r.scheme != scheme) return invalid("scheme", "the scheme is not batch-settlement");
    auto t = r.extra ? from_value<terms>(*r.extra, unknown_fields::ignore) : result<terms>(refusal{"missing_field", "extra: missing"});
    if (!t) return invalid("missing_eip712_domain", "extra: " + t.error().text);
    if (t->name.empty() || t->version.empty()) return invalid("missing_eip712_domain", "extra.name and extra.version name the token's domain");
    return t;
}

result<void> check_config(const place& p, const config& c, std::string_view channel_id, const x402::requirements& offered) {
    const auto id = id_of(p, c), said = bytes_of(channel_id, 32);
    if (!said) return invalid("channel_id_invalid", said.error().text);
    if (!id || *id != *said) return invalid("channel_id_mismatch", id ? "the channel has another id" : id.error().text);
    if (!crypto::same_address(c.receiver, offered.payTo))
        return invalid("receiver_mismatch", "the channel pays " + c.receiver + ", not " + offered.payTo);
    const auto t = terms_of(offered);
    if (!t) return t.error();
    if (crypto::same_address(t->receiverAuthorizer, no_address) || !crypto::same_address(c.receiverAuthorizer, t->receiverAuthorizer))
        return invalid("receiver_authorizer_mismatch",
                       "claims of the channel are signed by " + c.receiverAuthorizer + ", not by " + t->receiverAuthorizer);
    if (!crypto::same_address(c.token, offered.asset)) return invalid("token_mismatch", "the channel holds " + c.token + ", not " + offered.asset);
    if (c.withdrawDelay != t->withdrawDelay) return invalid("withdraw_delay_mismatch", "the channel's delay is not the one that was offered");
    if (c.withdrawDelay < shortest_delay || c.withdrawDelay > longest_delay)
        return invalid("withdraw_delay_out_of_range", "a delay is 15 minutes to 30 days");
    return {};
}

result<void> check_voucher(const place& p, const config& c, const voucher& v) {
    const auto id = id_of(p, c);
    if (!id) return invalid("channel_id_mismatch", id.error().text);
    const auto said = bytes_of(v.channelId, 32);
    if (!said || *said != *id) return invalid("channel_id_mismatch", "the voucher is for another channel");
    const auto what = voucher_digest(p, v.channelId, v.maxClaimableAmount);
    if (!what) return invalid("voucher_signature", what.error().text);
    const auto signature = bytes_of(v.signature, 65);
    if (!signature) return invalid("voucher_signature", "not a key's signature");
    const auto signer = crypto::recover(*what, *signature);
    if (!signer) return invalid("voucher_signature", signer.error().text);
    const auto& key = crypto::same_address(c.payerAuthorizer, no_address) ? c.payer : c.payerAuthorizer;
    if (!crypto::same_address(*signer, key)) return invalid("voucher_signature", "signed by " + *signer + ", not by " + key);
    return {};
}

result<void> check_deposit(const place& p, const deposit_payload& d, const x402::requirements& offered, instant now) {
    if (const auto good = check_config(p, d.channelConfig, d.voucher.channelId, offered); !good) return good;
    const auto t = terms_of(offered);
    if (t->assetTransferMethod && *t->assetTransferMethod != "eip3009") return invalid("payload_type", "deposits are made by EIP-3009 here");
    const auto& a = d.deposit.authorization.erc3009Authorization;
    const x402::domain token{t->name, t->version, p.chain, offered.asset};
    const auto what = deposit_digest(p, token, d.channelConfig, d.deposit);
    if (!what) return invalid("receive_authorization_signature", what.error().text);
    const auto at = std::chrono::floor<seconds>(now.time_since_epoch()).count();
    if (at < 0 || *uint256(a.validBefore) < number(static_cast<std::uint64_t>(at + settlement_time.count())))
        return invalid("payload_authorization_valid_before", "it expires within 6 seconds, or has");
    if (*uint256(a.validAfter) > number(static_cast<std::uint64_t>(at))) return invalid("payload_authorization_valid_after", "it is not valid yet");
    const auto signature = bytes_of(a.signature, 65);
    const auto signer = signature ? crypto::recover(*what, *signature) : result<crypto::address>(signature.error());
    if (!signer) return invalid("receive_authorization_signature", signer.error().text);
    if (!crypto::same_address(*signer, d.channelConfig.payer))
        return invalid("receive_authorization_signature", "signed by " + *signer + ", not by the payer");
    if (const auto least = t->minDeposit ? uint128(*t->minDeposit) : number(1); !least || *uint128(d.deposit.amount) < *least)
        return invalid("deposit_below_min_deposit", "a deposit of " + d.deposit.amount + " is less than was asked for");
    return check_voucher(p, d.channelConfig, d.voucher);
}

// -- the contract -----------------------------------------------------------------------------------------------------

result<std::string> deposit_call(const place& p, const config& c, const deposit& d) {
    const auto& a = d.authorization.erc3009Authorization;
    const auto after = uint256(a.validAfter), before = uint256(a.validBefore);
    if (!after) return after.error();
    if (!before) return before.error();
    const auto salt = bytes_of(a.salt, 32);
    if (!salt) return salt.error();
    auto signature = abi::signature(a.signature);
    if (!signature) return signature.error();
    const auto collector = address_word(p.collector);
    if (!collector) return collector.error();
    const auto data = abi::encode({abi::fixed(*after), abi::fixed(*before), abi::fixed(*salt), std::move(*signature)});
    return call_of("deposit(" + config_abi + ",uint128,address,bytes)", c, d.amount, {abi::fixed(*collector), abi::bytes(data)});
}

result<std::string> claim_call(const std::vector<claim>& claims) {
    auto all = items_of(claims);
    if (!all) return all.error();
    return abi::call("claim(" + claims_abi + ")", {std::move(*all)});
}
result<std::string> claim_call(const std::vector<claim>& claims, std::string_view authorizer_signature) {
    auto all = items_of(claims), signature = abi::signature(authorizer_signature);
    if (!all) return all.error();
    if (!signature) return signature.error();
    return abi::call("claimWithSignature(" + claims_abi + ",bytes)", {std::move(*all), std::move(*signature)});
}

result<std::string> settle_call(std::string_view receiver, std::string_view token) {
    const auto r = address_word(receiver), t = address_word(token);
    if (!r) return r.error();
    if (!t) return t.error();
    return abi::call("settle(address,address)", {abi::fixed(*r), abi::fixed(*t)});
}

result<std::string> refund_call(const config& c, std::string_view amount) { return call_of("refund(" + config_abi + ",uint128)", c, amount, {}); }
result<std::string> refund_call(const config& c, std::string_view amount, std::string_view nonce, std::string_view authorizer_signature) {
    const auto n = uint256(nonce);
    if (!n) return n.error();
    auto signature = abi::signature(authorizer_signature);
    if (!signature) return signature.error();
    return call_of("refundWithSignature(" + config_abi + ",uint128,uint256,bytes)", c, amount, {abi::fixed(*n), std::move(*signature)});
}

result<std::string> initiate_withdraw_call(const config& c, std::string_view amount) {
    return call_of("initiateWithdraw(" + config_abi + ",uint128)", c, amount, {});
}
result<std::string> finalize_withdraw_call(const config& c) {
    auto channel = item_of(c);
    if (!channel) return channel.error();
    return abi::call("finalizeWithdraw(" + config_abi + ")", {std::move(*channel)});
}

std::string multicall(const std::vector<std::string>& calls) {
    std::vector<abi::item> all;
    for (const auto& c : calls) all.push_back(abi::bytes(c));
    return abi::call("multicall(bytes[])", {abi::list(all)});
}

result<std::string> channels_query(std::string_view channel_id) { return query("channels(bytes32)", channel_id); }
result<std::string> pending_query(std::string_view channel_id) { return query("pendingWithdrawals(bytes32)", channel_id); }
result<std::string> refund_nonce_query(std::string_view channel_id) { return query("refundNonce(bytes32)", channel_id); }
result<std::string> receivers_query(std::string_view receiver, std::string_view token) {
    auto call = settle_call(receiver, token); // the same arguments
    if (!call) return call;
    return abi::selector("receivers(address,address)") + call->substr(4);
}

result<state> state_of(std::string_view channel_id, std::string_view channel, std::string_view pending, std::string_view refund_nonce) {
    const auto balance = abi::word_at(channel, 0), claimed = abi::word_at(channel, 1), since = abi::word_at(pending, 1),
               nonce = abi::word_at(refund_nonce, 0);
    if (!balance) return balance.error();
    if (!claimed) return claimed.error();
    if (!since) return since.error();
    if (!nonce) return nonce.error();
    const auto at = small(*since);
    if (!at || *at >> 40 || *claimed > *balance || balance->find_first_not_of('\0') < 16)
        return refusal{"bad_answer", "the contract's books do not add up"};
    return state{std::string(channel_id), to_decimal(*balance), to_decimal(*claimed), static_cast<std::int64_t>(*at), to_decimal(*nonce), {}};
}

result<std::string> unsettled(std::string_view answer) {
    const auto claimed = abi::word_at(answer, 0), paid = abi::word_at(answer, 1);
    if (!claimed) return claimed.error();
    if (!paid) return paid.error();
    if (*paid > *claimed) return refusal{"bad_answer", "the contract's books do not add up"};
    auto left = *claimed;
    int borrow = 0;
    for (std::size_t i = left.size(); i-- > 0;) {
        const int d = static_cast<unsigned char>(left[i]) - static_cast<unsigned char>((*paid)[i]) - borrow;
        borrow = d < 0;
        left[i] = static_cast<char>(d + (borrow ? 256 : 0));
    }
    return to_decimal(left);
}

namespace topic {
const std::string& created() {
    static const auto one = to_hex_text(abi::topic("ChannelCreated(bytes32," + config_abi + ")"));
    return one;
}
const std::string& closed() {
    static const auto one = to_hex_text(abi::topic("ChannelClosed(bytes32," + config_abi + ")"));
    return one;
}
const std::string& deposited() {
    static const auto one = to_hex_text(abi::topic("Deposited(bytes32,address,uint128,uint128)"));
    return one;
}
const std::string& claimed() {
    static const auto one = to_hex_text(abi::topic("Claimed(bytes32,address,uint128,uint128)"));
    return one;
}
const std::string& settled() {
    static const auto one = to_hex_text(abi::topic("Settled(address,address,address,uint128)"));
    return one;
}
const std::string& refunded() {
    static const auto one = to_hex_text(abi::topic("Refunded(bytes32,address,uint128)"));
    return one;
}
const std::string& withdraw_initiated() {
    static const auto one = to_hex_text(abi::topic("WithdrawInitiated(bytes32,uint128,uint40)"));
    return one;
}
const std::string& withdraw_finalized() {
    static const auto one = to_hex_text(abi::topic("WithdrawFinalized(bytes32,address,uint128)"));
    return one;
}
} // namespace topic

} // namespace souk::evm::channel
