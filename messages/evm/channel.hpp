// Payment channels as x402's scheme batch-settlement has them: what is said over HTTP, what is signed (EIP-712), and what the contract is asked
// (deploy/contracts/Channels.sol, with whose like the official packages work). A voucher says how much may be claimed in all; the newest one counts.
#pragma once
#include <souk/messages/evm/word.hpp>
#include <souk/messages/x402.hpp>

#include <variant>

namespace souk::evm::channel {

inline constexpr std::string_view scheme = "batch-settlement";
inline constexpr std::int64_t shortest_delay = 900, longest_delay = 30 * 86'400; // seconds; the contract takes no other
inline constexpr std::size_t most_claims = 100; // in one payload: what is signed and sent at once stays a transaction

// Which contract, on which chain: everything below is signed for one.
struct place {
    std::uint64_t chain = 0;
    std::string contract = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003";
    std::string collector = "0x4020806089470a89826cB9fB1f4059150b550004"; // of deposits by EIP-3009
};

// -- over HTTP ------------------------------------------------------------------------------------------------------
// Amounts are decimal texts of the token's smallest unit, below 2^128; ids, salts and signatures "0x" and hexadecimal.

struct config {
    std::string payer;
    std::string payerAuthorizer; // signs vouchers, a key; zero: the payer himself, who may be a contract
    std::string receiver;
    std::string receiverAuthorizer; // signs claims and refunds
    std::string token;
    std::int64_t withdrawDelay = 0; // seconds
    std::string salt;
    bool operator==(const config&) const = default;
};
BOOST_DESCRIBE_STRUCT(config, (), (payer, payerAuthorizer, receiver, receiverAuthorizer, token, withdrawDelay, salt))

struct voucher {
    std::string channelId, maxClaimableAmount, signature;
    bool operator==(const voucher&) const = default;
};
BOOST_DESCRIBE_STRUCT(voucher, (), (channelId, maxClaimableAmount, signature))

struct receive_authorization {
    std::string validAfter, validBefore; // seconds
    std::string salt;                    // 0x and 64 digits; with the channel's id it makes the authorisation's nonce
    std::string signature;
    bool operator==(const receive_authorization&) const = default;
};
BOOST_DESCRIBE_STRUCT(receive_authorization, (), (validAfter, validBefore, salt, signature))
struct deposit_authorization {
    receive_authorization erc3009Authorization;
    bool operator==(const deposit_authorization&) const = default;
};
BOOST_DESCRIBE_STRUCT(deposit_authorization, (), (erc3009Authorization))
struct deposit {
    std::string amount;
    deposit_authorization authorization;
    bool operator==(const deposit&) const = default;
};
BOOST_DESCRIBE_STRUCT(deposit, (), (amount, authorization))

struct claimable {
    config channel;
    std::string maxClaimableAmount;
    bool operator==(const claimable&) const = default;
};
BOOST_DESCRIBE_STRUCT(claimable, (), (channel, maxClaimableAmount))
struct claim {
    claimable voucher;
    std::string signature;
    std::string totalClaimed; // what was charged, of what was allowed
    bool operator==(const claim&) const = default;
};
BOOST_DESCRIBE_STRUCT(claim, (), (voucher, signature, totalClaimed))

// From the payer to the server: the first three. From the server to a facilitator: all but the second, and a refund with its later members.
struct deposit_payload {
    std::string type = "deposit";
    config channelConfig;
    channel::voucher voucher;
    channel::deposit deposit;
    bool operator==(const deposit_payload&) const = default;
};
BOOST_DESCRIBE_STRUCT(deposit_payload, (), (type, channelConfig, voucher, deposit))
struct voucher_payload {
    std::string type = "voucher";
    config channelConfig;
    channel::voucher voucher;
    bool operator==(const voucher_payload&) const = default;
};
BOOST_DESCRIBE_STRUCT(voucher_payload, (), (type, channelConfig, voucher))
struct refund_payload {
    std::string type = "refund";
    config channelConfig;
    channel::voucher voucher;          // for what was charged, to the unit
    std::optional<std::string> amount; // all that is left, where it is not said
    std::optional<std::string> refundNonce;
    std::optional<std::vector<claim>> claims;
    std::optional<std::string> refundAuthorizerSignature, claimAuthorizerSignature;
    bool operator==(const refund_payload&) const = default;
};
BOOST_DESCRIBE_STRUCT(refund_payload, (),
                      (type, channelConfig, voucher, amount, refundNonce, claims, refundAuthorizerSignature, claimAuthorizerSignature))
struct claim_payload {
    std::string type = "claim";
    std::vector<claim> claims;
    std::optional<std::string> claimAuthorizerSignature;
    bool operator==(const claim_payload&) const = default;
};
BOOST_DESCRIBE_STRUCT(claim_payload, (), (type, claims, claimAuthorizerSignature))
struct settle_payload {
    std::string type = "settle";
    std::string receiver, token;
    bool operator==(const settle_payload&) const = default;
};
BOOST_DESCRIBE_STRUCT(settle_payload, (), (type, receiver, token))

using payload = std::variant<deposit_payload, voucher_payload, refund_payload, claim_payload, settle_payload>;
// By its type; unknown members are ignored. Code "invalid_batch_settlement_evm_payload_type", or from_value's.
result<payload> payload_of(const value&);

// How a channel stands, as servers and facilitators tell it.
struct state {
    std::string channelId, balance, totalClaimed;
    std::int64_t withdrawRequestedAt = 0; // seconds; 0: it is not
    std::string refundNonce;
    std::optional<std::string> chargedCumulativeAmount;
    bool operator==(const state&) const = default;
};
BOOST_DESCRIBE_STRUCT(state, (), (channelId, balance, totalClaimed, withdrawRequestedAt, refundNonce, chargedCumulativeAmount))
struct voucher_state {
    std::optional<std::string> signedMaxClaimable, signature;
    bool operator==(const voucher_state&) const = default;
};
BOOST_DESCRIBE_STRUCT(voucher_state, (), (signedMaxClaimable, signature))

// `extra` of the requirements; the last two where the server sets a payer right. And of the receipt.
struct terms {
    std::string receiverAuthorizer;
    std::int64_t withdrawDelay = 0;
    std::string name, version; // the token's domain
    std::optional<std::string> minDeposit, assetTransferMethod;
    std::optional<state> channelState;
    std::optional<voucher_state> voucherState;
    bool operator==(const terms&) const = default;
};
BOOST_DESCRIBE_STRUCT(terms, (), (receiverAuthorizer, withdrawDelay, name, version, minDeposit, assetTransferMethod, channelState, voucherState))
struct receipt {
    std::optional<std::string> chargedAmount;
    std::optional<state> channelState;
    std::optional<voucher_state> voucherState;
    bool operator==(const receipt&) const = default;
};
BOOST_DESCRIBE_STRUCT(receipt, (), (chargedAmount, channelState, voucherState))

// -- what is signed -------------------------------------------------------------------------------------------------
// 32 bytes. Codes "bad_address", "bad_number", "bad_hex".

result<std::string> id_of(const place&, const config&);
result<std::string> voucher_digest(const place&, std::string_view channel_id, std::string_view most);
result<std::string> refund_digest(const place&, std::string_view channel_id, std::string_view nonce, std::string_view amount);
result<std::string> claims_digest(const place&, const std::vector<claim>&); // also "too_many"
// The deposit is signed for the token: ReceiveWithAuthorization to the collector, its nonce bound to the channel.
result<std::string> deposit_nonce(std::string_view channel_id, std::string_view salt);
result<std::string> deposit_digest(const place&, const x402::domain& token, const config&, const deposit&);

result<voucher> sign_voucher(const place&, const config&, std::string_view most, const crypto::secret& key);
result<void> sign_deposit(const place&, const x402::domain& token, const config&, deposit&, const crypto::secret& key);

// -- rules ----------------------------------------------------------------------------------------------------------
// In the official facilitator's order and with its codes ("invalid_batch_settlement_evm_..."), as far as no chain is asked.

result<terms> terms_of(const x402::requirements&); // code "..._missing_eip712_domain"
result<void> check_config(const place&, const config&, std::string_view channel_id, const x402::requirements& offered);
// By the one key that may, 65 bytes with a low s. Of a payer who signs himself and is a contract, only his chain can say.
result<void> check_voucher(const place&, const config&, const voucher&);
result<void> check_deposit(const place&, const deposit_payload&, const x402::requirements& offered, instant now);

// -- the contract ---------------------------------------------------------------------------------------------------
// Calls: selector and arguments.
result<std::string> deposit_call(const place&, const config&, const deposit&);
result<std::string> claim_call(const std::vector<claim>&);
result<std::string> claim_call(const std::vector<claim>&, std::string_view authorizer_signature);
result<std::string> settle_call(std::string_view receiver, std::string_view token);
result<std::string> refund_call(const config&, std::string_view amount);
result<std::string> refund_call(const config&, std::string_view amount, std::string_view nonce, std::string_view authorizer_signature);
result<std::string> initiate_withdraw_call(const config&, std::string_view amount);
result<std::string> finalize_withdraw_call(const config&);
std::string multicall(const std::vector<std::string>& calls); // all, or none

// Questions, and what the answers say.
result<std::string> channels_query(std::string_view channel_id);
result<std::string> pending_query(std::string_view channel_id);
result<std::string> refund_nonce_query(std::string_view channel_id);
result<std::string> receivers_query(std::string_view receiver, std::string_view token);
// Code "bad_answer".
result<state> state_of(std::string_view channel_id, std::string_view channel, std::string_view pending, std::string_view refund_nonce);
result<std::string> unsettled(std::string_view answer); // of receivers_query: claimed and not paid

// Topics of events, "0x" and 64 digits; the channel's id, or receiver, token and sender, are the indexed ones.
namespace topic {
const std::string& created();            // ChannelCreated(bytes32 indexed channelId, ChannelConfig config)
const std::string& closed();             // ChannelClosed(bytes32 indexed channelId, ChannelConfig config)
const std::string& deposited();          // Deposited(bytes32 indexed channelId, address indexed sender, uint128 amount, uint128 newBalance)
const std::string& claimed();            // Claimed(bytes32 indexed channelId, address indexed sender, uint128 claimAmount, uint128 newTotalClaimed)
const std::string& settled();            // Settled(address indexed receiver, address indexed token, address indexed sender, uint128 amount)
const std::string& refunded();           // Refunded(bytes32 indexed channelId, address indexed sender, uint128 amount)
const std::string& withdraw_initiated(); // WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 finalizeAfter)
const std::string& withdraw_finalized(); // WithdrawFinalized(bytes32 indexed channelId, address indexed sender, uint128 amount)
} // namespace topic

} // namespace souk::evm::channel
