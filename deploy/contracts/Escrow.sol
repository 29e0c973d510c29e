// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Held} from "./Held.sol";
import {Signed} from "./Signed.sol";

/// One request that a payer bought: who serves it, for what, out of which money. What the payer signs.
struct Request {
    address payer;
    address provider;
    address token;
    uint256 price;
    bytes32 requestHash; // of what is to be done, as both have it
    uint256 credit; // a trial credit that pays it; 0: what the payer set aside
    bytes32 nonce; // of the payer for this provider, in no order
    uint64 expires; // seconds; served late is served for nothing
}

/// Escrow by allowance. A payer deposits, sets a budget aside for a provider with a highest price per request, and signs each request; the provider
/// is paid by those signatures and by nothing else. What is set aside is the provider's to count on: it comes back only after a notice, in which he can
/// present what he served. A credit is money that somebody else gives to be spent so, with one provider, until a day: the payer can spend it and
/// not have it, and what is left of it is the giver's again. Every balance is in one token and is somebody's. Nobody owns this contract.
contract Escrow is Held {
    struct Allowance {
        uint128 budget; // set aside
        uint128 price; // of one request, at most
        uint128 leaving; // of the budget, announced
        uint64 since;
    }

    struct Credit {
        address grantor;
        uint64 expires;
        address payer;
        address provider;
        address token;
        uint128 left;
    }

    uint64 public constant NOTICE = 1 days;
    bytes32 public constant REQUEST_TYPEHASH = keccak256(
        "Request(address payer,address provider,address token,uint256 price,bytes32 requestHash,uint256 credit,bytes32 nonce,uint64 expires)"
    );

    mapping(address => mapping(address => uint256)) public balanceOf; // by owner and token: what he may take out at once
    mapping(address => mapping(address => mapping(address => Allowance))) public allowance; // by payer, provider and token
    mapping(uint256 => Credit) public credits;
    uint256 public lastCredit;
    mapping(address => mapping(address => mapping(bytes32 => bool))) public used; // by payer, provider and nonce

    event Deposited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, uint256 amount);
    event Approved(address indexed payer, address indexed provider, address indexed token, uint256 added, uint256 budget, uint256 price);
    event Announced(address indexed payer, address indexed provider, address indexed token, uint256 amount, uint256 due);
    event Released(address indexed payer, address indexed provider, address indexed token, uint256 amount);
    event Consumed(
        address indexed payer, address indexed provider, bytes32 indexed requestHash, address token, uint256 price, uint256 credit, bytes32 nonce
    );
    event Granted(
        uint256 indexed credit, address indexed payer, address indexed provider, address grantor, address token, uint256 amount, uint256 expires
    );
    event Reclaimed(uint256 indexed credit, address indexed grantor, uint256 amount);

    error NoAmount();
    error TooMuch();
    error BadParty();
    error PriceLowered();
    error NoticePending();
    error NoNotice();
    error TooEarly();
    error NotProvider();
    error Expired();
    error PriceTooHigh();
    error BeyondBudget();
    error WrongCredit();
    error BeyondCredit();
    error Used();
    error BadSignature();
    error Unequal();

    // -- one's own ----------------------------------------------------------------------------------------------------

    function deposit(address token, uint256 amount) external alone {
        if (amount == 0) revert NoAmount();
        if (amount > type(uint128).max) revert TooMuch();
        balanceOf[msg.sender][token] += amount;
        take(token, msg.sender, amount);
        emit Deposited(msg.sender, token, amount);
    }

    /// What is neither set aside nor granted: a payer's rest, a provider's earnings.
    function withdraw(address token, uint256 amount) external alone {
        if (amount == 0) revert NoAmount();
        spend(msg.sender, token, amount);
        pay(token, msg.sender, amount);
        emit Withdrawn(msg.sender, token, amount);
    }

    // -- the payer's allowances -----------------------------------------------------------------------------------------

    /// Sets `amount` more aside; `price` is the most that one request may cost from now on. Only upwards while anything is set aside: who serves at a
    /// price that was good must find it good when he presents it.
    function approve(address provider, address token, uint128 price, uint128 amount) external alone {
        if (provider == address(0) || provider == msg.sender) revert BadParty();
        Allowance storage a = allowance[msg.sender][provider][token];
        if (a.budget != 0 && price < a.price) revert PriceLowered();
        spend(msg.sender, token, amount);
        a.budget += amount;
        a.price = price;
        emit Approved(msg.sender, provider, token, amount, a.budget, price);
    }

    /// That this much of it is to come back.
    function announce(address provider, address token, uint128 amount) external alone {
        Allowance storage a = allowance[msg.sender][provider][token];
        if (amount == 0) revert NoAmount();
        if (a.since != 0) revert NoticePending();
        if (amount > a.budget) revert BeyondBudget();
        a.leaving = amount;
        a.since = uint64(block.timestamp);
        emit Announced(msg.sender, provider, token, amount, block.timestamp + NOTICE);
    }

    /// What was announced, or what is left of it, a notice later.
    function release(address provider, address token) external alone {
        Allowance storage a = allowance[msg.sender][provider][token];
        if (a.since == 0) revert NoNotice();
        if (block.timestamp < uint256(a.since) + NOTICE) revert TooEarly();
        uint128 amount = a.leaving < a.budget ? a.leaving : a.budget;
        a.leaving = 0;
        a.since = 0;
        a.budget -= amount;
        balanceOf[msg.sender][token] += amount;
        emit Released(msg.sender, provider, token, amount);
    }

    /// By the provider, at once: he will not need it.
    function giveBack(address payer, address token, uint128 amount) external alone {
        Allowance storage a = allowance[payer][msg.sender][token];
        if (amount == 0) revert NoAmount();
        if (amount > a.budget) revert BeyondBudget();
        a.budget -= amount;
        balanceOf[payer][token] += amount;
        emit Released(payer, msg.sender, token, amount);
    }

    // -- credits ----------------------------------------------------------------------------------------------------------

    /// From one's own balance, for a payer to spend with one provider: with any, he could spend it with himself.
    function grant(address payer, address provider, address token, uint128 amount, uint64 expires) external alone returns (uint256 credit) {
        if (amount == 0) revert NoAmount();
        if (payer == address(0) || provider == address(0) || payer == provider) revert BadParty();
        if (expires <= block.timestamp) revert Expired();
        spend(msg.sender, token, amount);
        credit = ++lastCredit;
        credits[credit] = Credit(msg.sender, expires, payer, provider, token, amount);
        emit Granted(credit, payer, provider, msg.sender, token, amount, expires);
    }

    /// To whoever gave it, when its day is over. Anybody may say so.
    function reclaim(uint256 credit) external alone {
        Credit storage c = credits[credit];
        if (c.left == 0) revert NoAmount();
        if (block.timestamp <= c.expires) revert TooEarly();
        uint128 amount = c.left;
        c.left = 0;
        balanceOf[c.grantor][c.token] += amount;
        emit Reclaimed(credit, c.grantor, amount);
    }

    // -- the provider's pay -------------------------------------------------------------------------------------------------

    function consume(Request calldata request, bytes calldata signature) external alone {
        consumeOne(request, signature);
    }

    /// All of them, or none.
    function consumeAll(Request[] calldata requests, bytes[] calldata signatures) external alone {
        if (requests.length != signatures.length) revert Unequal();
        for (uint256 i = 0; i < requests.length; ++i) consumeOne(requests[i], signatures[i]);
    }

    function requestDigest(Request calldata r) public view returns (bytes32) {
        bytes32 what =
            keccak256(abi.encode(REQUEST_TYPEHASH, r.payer, r.provider, r.token, r.price, r.requestHash, r.credit, r.nonce, r.expires));
        return Signed.digest(Signed.domain("Souk Escrow", "1", address(this)), what);
    }

    /// What a provider can count on: of the budget, what is not announced to leave.
    function available(address payer, address provider, address token) external view returns (uint256) {
        Allowance storage a = allowance[payer][provider][token];
        return a.leaving < a.budget ? a.budget - a.leaving : 0;
    }

    // -- within -----------------------------------------------------------------------------------------------------------

    function consumeOne(Request calldata r, bytes calldata signature) private {
        if (msg.sender != r.provider) revert NotProvider();
        if (block.timestamp > r.expires) revert Expired();
        if (r.price == 0) revert NoAmount();
        if (used[r.payer][r.provider][r.nonce]) revert Used();
        if (!Signed.by(r.payer, requestDigest(r), signature)) revert BadSignature();
        used[r.payer][r.provider][r.nonce] = true;
        if (r.credit == 0) {
            Allowance storage a = allowance[r.payer][r.provider][r.token];
            if (r.price > a.price) revert PriceTooHigh();
            if (r.price > a.budget) revert BeyondBudget();
            a.budget -= uint128(r.price);
        } else {
            Credit storage c = credits[r.credit];
            if (c.payer != r.payer || c.provider != r.provider || c.token != r.token) revert WrongCredit();
            if (block.timestamp > c.expires) revert Expired();
            if (r.price > c.left) revert BeyondCredit();
            c.left -= uint128(r.price);
        }
        balanceOf[r.provider][r.token] += r.price;
        emit Consumed(r.payer, r.provider, r.requestHash, r.token, r.price, r.credit, r.nonce);
    }

    function spend(address from, address token, uint256 amount) private {
        if (amount > balanceOf[from][token]) revert TooMuch();
        balanceOf[from][token] -= amount;
    }
}
