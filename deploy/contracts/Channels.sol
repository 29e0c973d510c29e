// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Held} from "./Held.sol";
import {Signed} from "./Signed.sol";

/// What a channel is: its name derives from this, and none of it ever changes.
struct ChannelConfig {
    address payer;
    address payerAuthorizer; // signs vouchers; zero: the payer himself does, who may be a contract
    address receiver;
    address receiverAuthorizer; // signs claims and refunds
    address token;
    uint40 withdrawDelay; // seconds
    bytes32 salt;
}

/// The payer: "of this channel, the receiver may have claimed this much in all". Only the newest one counts.
struct Voucher {
    ChannelConfig channel;
    uint128 maxClaimableAmount;
}

struct VoucherClaim {
    Voucher voucher;
    bytes signature;
    uint128 totalClaimed; // in all, and no more than the voucher allows
}

/// How a channel is named, for who holds the money and for who fetches it.
library ChannelName {
    bytes32 internal constant TYPEHASH = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );

    function domain(address channels) internal view returns (bytes32) {
        return Signed.domain("x402 Batch Settlement", "1", channels);
    }

    function idOf(ChannelConfig memory c, address channels) internal view returns (bytes32) {
        bytes32 what = keccak256(
            abi.encode(TYPEHASH, c.payer, c.payerAuthorizer, c.receiver, c.receiverAuthorizer, c.token, c.withdrawDelay, c.salt)
        );
        return Signed.digest(domain(channels), what);
    }
}

/// Brings what a payer signed for to the caller, or reverts. The caller trusts its own balance only.
interface Collector {
    function collect(ChannelConfig calldata config, uint256 amount, bytes calldata data) external;
}

/// Payment channels in one direction, as x402's scheme batch-settlement has them: a payer deposits, signs a growing promise request by request, and
/// the receiver claims what he was promised, of many channels in one transaction. What nobody claimed goes back: at once where the receiver agrees,
/// or after a delay that both knew. The interface is that of the official packages; nobody owns this contract.
contract Channels is Held {
    struct Channel {
        uint128 balance; // deposited, less what went back; what was claimed is still in it
        uint128 totalClaimed;
    }

    struct Withdrawal {
        uint128 amount;
        uint40 initiatedAt;
    }

    struct Receiver {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    uint40 public constant MIN_WITHDRAW_DELAY = 15 minutes;
    uint40 public constant MAX_WITHDRAW_DELAY = 30 days;
    bytes32 public constant CHANNEL_CONFIG_TYPEHASH = ChannelName.TYPEHASH;
    bytes32 public constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 public constant REFUND_TYPEHASH = keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");
    bytes32 public constant CLAIM_ENTRY_TYPEHASH = keccak256("ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)");
    bytes32 public constant CLAIM_BATCH_TYPEHASH = keccak256(
        "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );

    mapping(bytes32 => Channel) public channels;
    mapping(bytes32 => Withdrawal) public pendingWithdrawals;
    mapping(bytes32 => uint256) public refundNonce;
    mapping(address => mapping(address => Receiver)) public receivers; // by receiver and token

    event ChannelCreated(bytes32 indexed channelId, ChannelConfig config);
    event ChannelClosed(bytes32 indexed channelId, ChannelConfig config);
    event Deposited(bytes32 indexed channelId, address indexed sender, uint128 amount, uint128 newBalance);
    event Claimed(bytes32 indexed channelId, address indexed sender, uint128 claimAmount, uint128 newTotalClaimed);
    event Settled(address indexed receiver, address indexed token, address indexed sender, uint128 amount);
    event Refunded(bytes32 indexed channelId, address indexed sender, uint128 amount);
    event WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 finalizeAfter);
    event WithdrawFinalized(bytes32 indexed channelId, address indexed sender, uint128 amount);

    error BadConfig();
    error BadDelay();
    error NoAmount();
    error NoClaims();
    error NotAllowed();
    error BadVoucherSignature();
    error BadAuthorizerSignature();
    error OtherAuthorizer();
    error BeyondVoucher();
    error BeyondBalance();
    error WithdrawalPending();
    error NoWithdrawal();
    error TooEarly();
    error BadRefundNonce();

    // -- money in ---------------------------------------------------------------------------------------------------

    function deposit(ChannelConfig calldata config, uint128 amount, address collector, bytes calldata collectorData) external alone {
        if (
            config.payer == address(0) || config.receiver == address(0) || config.receiverAuthorizer == address(0) || config.token == address(0)
                || config.payer == address(this) || config.receiver == address(this)
        ) revert BadConfig();
        if (config.withdrawDelay < MIN_WITHDRAW_DELAY || config.withdrawDelay > MAX_WITHDRAW_DELAY) revert BadDelay();
        if (amount == 0) revert NoAmount();
        bytes32 id = getChannelId(config);
        Channel storage c = channels[id];
        if (c.balance == 0) emit ChannelCreated(id, config);
        c.balance += amount;
        uint256 before = holding(config.token);
        Collector(collector).collect(config, amount, collectorData);
        received(config.token, before, amount);
        emit Deposited(id, msg.sender, amount, c.balance);
    }

    // -- to the receiver --------------------------------------------------------------------------------------------

    /// By the receiver or his authorizer, of every channel named.
    function claim(VoucherClaim[] calldata voucherClaims) external alone {
        if (voucherClaims.length == 0) revert NoClaims();
        for (uint256 i = 0; i < voucherClaims.length; ++i) {
            ChannelConfig calldata config = voucherClaims[i].voucher.channel;
            if (msg.sender != config.receiver && msg.sender != config.receiverAuthorizer) revert NotAllowed();
            claimOne(voucherClaims[i]);
        }
    }

    /// By anybody who has the word of the one authorizer of all.
    function claimWithSignature(VoucherClaim[] calldata voucherClaims, bytes calldata authorizerSignature) external alone {
        if (voucherClaims.length == 0) revert NoClaims();
        address authorizer = voucherClaims[0].voucher.channel.receiverAuthorizer;
        if (!Signed.by(authorizer, getClaimBatchDigest(voucherClaims), authorizerSignature)) revert BadAuthorizerSignature();
        for (uint256 i = 0; i < voucherClaims.length; ++i) {
            if (voucherClaims[i].voucher.channel.receiverAuthorizer != authorizer) revert OtherAuthorizer();
            claimOne(voucherClaims[i]);
        }
    }

    /// What was claimed and is not paid yet, to its receiver. Anybody may ask for it.
    function settle(address receiver, address token) external alone {
        Receiver storage r = receivers[receiver][token];
        uint128 due = r.totalClaimed - r.totalSettled;
        if (due == 0) return;
        r.totalSettled = r.totalClaimed;
        pay(token, receiver, due);
        emit Settled(receiver, token, msg.sender, due);
    }

    // -- back to the payer ------------------------------------------------------------------------------------------

    /// By the receiver or his authorizer: `amount`, or what is left if that is less.
    function refund(ChannelConfig calldata config, uint128 amount) external alone {
        if (msg.sender != config.receiver && msg.sender != config.receiverAuthorizer) revert NotAllowed();
        refundOne(config, getChannelId(config), amount);
    }

    /// By anybody who has the authorizer's word on it, which holds for one nonce.
    function refundWithSignature(ChannelConfig calldata config, uint128 amount, uint256 nonce, bytes calldata receiverAuthorizerSignature)
        external
        alone
    {
        bytes32 id = getChannelId(config);
        if (nonce != refundNonce[id]) revert BadRefundNonce();
        if (!Signed.by(config.receiverAuthorizer, getRefundDigest(id, nonce, amount), receiverAuthorizerSignature)) revert BadAuthorizerSignature();
        refundOne(config, id, amount);
    }

    /// The payer does not wait for anybody's word; the receiver has the delay to claim what he was promised.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external alone {
        if (msg.sender != config.payer && msg.sender != config.payerAuthorizer) revert NotAllowed();
        if (amount == 0) revert NoAmount();
        bytes32 id = getChannelId(config);
        if (amount > left(id)) revert BeyondBalance();
        if (pendingWithdrawals[id].initiatedAt != 0) revert WithdrawalPending(); // started anew, the voucher's key could hold off the payer for ever
        pendingWithdrawals[id] = Withdrawal(amount, uint40(block.timestamp));
        emit WithdrawInitiated(id, amount, uint40(block.timestamp) + config.withdrawDelay);
    }

    /// What was asked for, or what is left of it.
    function finalizeWithdraw(ChannelConfig calldata config) external alone {
        if (msg.sender != config.payer && msg.sender != config.payerAuthorizer) revert NotAllowed();
        bytes32 id = getChannelId(config);
        Withdrawal memory w = pendingWithdrawals[id];
        if (w.initiatedAt == 0) revert NoWithdrawal();
        if (block.timestamp < uint256(w.initiatedAt) + config.withdrawDelay) revert TooEarly();
        delete pendingWithdrawals[id];
        uint128 amount = least(w.amount, left(id));
        emit WithdrawFinalized(id, msg.sender, amount);
        giveBack(config, id, amount);
    }

    // -- several in one, all or none --------------------------------------------------------------------------------

    function multicall(bytes[] calldata data) external returns (bytes[] memory results) {
        results = new bytes[](data.length);
        for (uint256 i = 0; i < data.length; ++i) {
            (bool done, bytes memory said) = address(this).delegatecall(data[i]); // the same sender; no value goes with any of this
            if (!done) {
                assembly {
                    revert(add(said, 32), mload(said))
                }
            }
            results[i] = said;
        }
    }

    // -- names and digests ------------------------------------------------------------------------------------------

    function getChannelId(ChannelConfig calldata config) public view returns (bytes32) {
        return ChannelName.idOf(config, address(this));
    }

    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount) public view returns (bytes32) {
        return Signed.digest(ChannelName.domain(address(this)), keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, maxClaimableAmount)));
    }

    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount) public view returns (bytes32) {
        return Signed.digest(ChannelName.domain(address(this)), keccak256(abi.encode(REFUND_TYPEHASH, channelId, nonce, amount)));
    }

    function getClaimBatchDigest(VoucherClaim[] calldata voucherClaims) public view returns (bytes32) {
        bytes32[] memory entries = new bytes32[](voucherClaims.length);
        for (uint256 i = 0; i < entries.length; ++i) {
            VoucherClaim calldata v = voucherClaims[i];
            entries[i] =
                keccak256(abi.encode(CLAIM_ENTRY_TYPEHASH, getChannelId(v.voucher.channel), v.voucher.maxClaimableAmount, v.totalClaimed));
        }
        bytes32 what = keccak256(abi.encode(CLAIM_BATCH_TYPEHASH, keccak256(abi.encodePacked(entries))));
        return Signed.digest(ChannelName.domain(address(this)), what);
    }

    // -- within -----------------------------------------------------------------------------------------------------

    function claimOne(VoucherClaim calldata v) private {
        ChannelConfig calldata config = v.voucher.channel;
        bytes32 id = getChannelId(config);
        if (v.totalClaimed > v.voucher.maxClaimableAmount) revert BeyondVoucher();
        bytes32 digest = getVoucherDigest(id, v.voucher.maxClaimableAmount);
        bool signed = config.payerAuthorizer != address(0)
            ? Signed.byKey(config.payerAuthorizer, digest, v.signature)
            : Signed.by(config.payer, digest, v.signature);
        if (!signed) revert BadVoucherSignature();
        Channel storage c = channels[id];
        if (v.totalClaimed > c.balance) revert BeyondBalance();
        if (v.totalClaimed <= c.totalClaimed) return; // claimed before, by this or by more: nothing to do, and no reason to stop the rest
        uint128 more = v.totalClaimed - c.totalClaimed;
        c.totalClaimed = v.totalClaimed;
        receivers[config.receiver][config.token].totalClaimed += more;
        emit Claimed(id, msg.sender, more, v.totalClaimed);
    }

    function refundOne(ChannelConfig calldata config, bytes32 id, uint128 asked) private {
        if (asked == 0) revert NoAmount();
        ++refundNonce[id]; // whatever is left: a signature is good for one attempt
        uint128 amount = least(asked, left(id));
        if (amount == 0) return;
        Withdrawal storage w = pendingWithdrawals[id];
        if (w.amount <= amount) delete pendingWithdrawals[id];
        else w.amount -= amount;
        emit Refunded(id, msg.sender, amount);
        giveBack(config, id, amount);
    }

    function giveBack(ChannelConfig calldata config, bytes32 id, uint128 amount) private {
        if (amount == 0) return;
        Channel storage c = channels[id];
        c.balance -= amount;
        if (c.balance == 0) emit ChannelClosed(id, config);
        pay(config.token, config.payer, amount);
    }

    function left(bytes32 id) private view returns (uint128) {
        return channels[id].balance - channels[id].totalClaimed;
    }

    function least(uint128 a, uint128 b) private pure returns (uint128) {
        return a < b ? a : b;
    }
}
