// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {PermitTransferFrom, Permits, SignatureTransferDetails} from "./Permits.sol";

/// What stands between x402 and Permit2: the payer signs for one of these as the spender, and by the witness for whom the money is. So whoever brings
/// the signature cannot send it elsewhere. Named and called as the official packages call theirs, for development chains.
abstract contract PermitProxy {
    error InvalidAmount();
    error InvalidDestination();
    error InvalidOwner();
    error PaymentTooEarly();
    error ReentrancyGuardReentrantCall();

    event Settled();

    Permits public constant PERMIT2 = Permits(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    uint256 private entered; // 2 within a call

    modifier alone() {
        if (entered == 2) revert ReentrancyGuardReentrantCall();
        entered = 2;
        _;
        entered = 1;
    }

    function pay(
        PermitTransferFrom calldata permit, uint256 amount, address owner, address to, uint256 validAfter, bytes32 witness, string memory witnessType, bytes calldata signature
    ) internal {
        if (owner == address(0)) revert InvalidOwner();
        if (to == address(0)) revert InvalidDestination();
        if (block.timestamp < validAfter) revert PaymentTooEarly();
        PERMIT2.permitWitnessTransferFrom(permit, SignatureTransferDetails(to, amount), owner, witness, witnessType, signature);
        emit Settled();
    }
}

/// All that was permitted. Anybody may bring it.
contract ExactPermitProxy is PermitProxy {
    struct Witness {
        address to;
        uint256 validAfter;
    }

    string public constant WITNESS_TYPE_STRING = "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";
    bytes32 public constant WITNESS_TYPEHASH = keccak256("Witness(address to,uint256 validAfter)");

    function settle(PermitTransferFrom calldata permit, address owner, Witness calldata witness, bytes calldata signature) external alone {
        if (permit.permitted.amount == 0) revert InvalidAmount();
        bytes32 what = keccak256(abi.encode(WITNESS_TYPEHASH, witness.to, witness.validAfter));
        pay(permit, permit.permitted.amount, owner, witness.to, witness.validAfter, what, WITNESS_TYPE_STRING, signature);
    }
}

/// As much of it as the one facilitator says that the payer named. Nobody else may bring it.
contract UptoPermitProxy is PermitProxy {
    error AmountExceedsPermitted();
    error UnauthorizedFacilitator();

    struct Witness {
        address to;
        address facilitator;
        uint256 validAfter;
    }

    string public constant WITNESS_TYPE_STRING = "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,address facilitator,uint256 validAfter)";
    bytes32 public constant WITNESS_TYPEHASH = keccak256("Witness(address to,address facilitator,uint256 validAfter)");

    function settle(PermitTransferFrom calldata permit, uint256 amount, address owner, Witness calldata witness, bytes calldata signature) external alone {
        if (amount > permit.permitted.amount) revert AmountExceedsPermitted();
        if (msg.sender != witness.facilitator) revert UnauthorizedFacilitator();
        bytes32 what = keccak256(abi.encode(WITNESS_TYPEHASH, witness.to, witness.facilitator, witness.validAfter));
        pay(permit, amount, owner, witness.to, witness.validAfter, what, WITNESS_TYPE_STRING, signature);
    }
}
