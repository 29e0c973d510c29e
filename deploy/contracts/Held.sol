// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

interface Token {
    function balanceOf(address) external view returns (uint256);
}

/// For contracts that hold the tokens of many: what goes in and out is measured at the token, never believed. A token that takes a fee, answers
/// false, answers nothing or calls back in between harms nobody: its transfers are made to the unit, or not at all.
abstract contract Held {
    error Reentered();
    error TransferFailed();
    error TransferInexact();

    uint256 private entered; // 2 within a call; 0 at first, so that it needs no constructor

    modifier alone() {
        if (entered == 2) revert Reentered();
        entered = 2;
        _;
        entered = 1; // not 0: the next one pays less
    }

    function holding(address token) internal view returns (uint256) {
        return Token(token).balanceOf(address(this));
    }

    /// Exactly `amount` more than there was `before`.
    function received(address token, uint256 before, uint256 amount) internal view {
        uint256 now_ = holding(token);
        if (now_ < before || now_ - before != amount) revert TransferInexact();
    }

    function take(address token, address from, uint256 amount) internal {
        uint256 before = holding(token);
        moved(token, abi.encodeWithSignature("transferFrom(address,address,uint256)", from, address(this), amount));
        received(token, before, amount);
    }

    function pay(address token, address to, uint256 amount) internal {
        uint256 before = holding(token);
        moved(token, abi.encodeWithSignature("transfer(address,uint256)", to, amount));
        uint256 now_ = holding(token);
        if (now_ > before || before - now_ != amount) revert TransferInexact();
    }

    // Some tokens answer nothing; an account without code answers nothing to everything.
    function moved(address token, bytes memory call) private {
        (bool done, bytes memory said) = token.call(call);
        if (!done || token.code.length == 0 || (said.length != 0 && !(said.length >= 32 && uint256(bytes32(said)) == 1))) revert TransferFailed();
    }
}
