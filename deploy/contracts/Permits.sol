// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Signed} from "./Signed.sol";

struct TokenPermissions {
    address token;
    uint256 amount; // at most
}
struct PermitTransferFrom {
    TokenPermissions permitted;
    uint256 nonce;
    uint256 deadline; // the last second
}
struct SignatureTransferDetails {
    address to;
    uint256 requestedAmount;
}

/// Moves a token that its owner approved to this contract once and for all, by a signature for each transfer: what x402 asks of Permit2, with its
/// calls, its domain, its digests and the names of its refusals, for development chains. Permit2's other half, standing allowances, is not here.
/// Only who was named as the spender may bring a signature, and the witness says what it is for.
contract Permits {
    error SignatureExpired(uint256 deadline);
    error InvalidAmount(uint256 most);
    error InvalidNonce();
    error InvalidSigner();
    error InvalidContractSignature();
    error TransferFromFailed();

    event UnorderedNonceInvalidation(address indexed owner, uint256 word, uint256 mask);

    /// A bit for every nonce: its upper 248 bits say in which word, the lower 8 which one.
    mapping(address => mapping(uint256 => uint256)) public nonceBitmap;

    string private constant STUB = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";
    bytes32 private constant PERMISSIONS = keccak256("TokenPermissions(address token,uint256 amount)");

    /// Not kept: a chain may be forked under another number. It has no version.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"), keccak256("Permit2"), block.chainid, address(this)));
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes32 witness,
        string calldata witnessType,
        bytes calldata signature
    ) external {
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        if (details.requestedAmount > permit.permitted.amount) revert InvalidAmount(permit.permitted.amount);
        use(owner, permit.nonce);
        signedBy(owner, digestOf(permit, witness, witnessType), signature);
        moved(permit.permitted.token, abi.encodeWithSignature("transferFrom(address,address,uint256)", owner, details.to, details.requestedAmount));
    }

    /// The owner's own: signatures with these nonces are void.
    function invalidateUnorderedNonces(uint256 word, uint256 mask) external {
        nonceBitmap[msg.sender][word] |= mask;
        emit UnorderedNonceInvalidation(msg.sender, word, mask);
    }

    function use(address owner, uint256 nonce) private {
        uint256 bit = 1 << (nonce & 0xff);
        uint256 before = nonceBitmap[owner][nonce >> 8];
        if (before & bit != 0) revert InvalidNonce();
        nonceBitmap[owner][nonce >> 8] = before | bit;
    }

    // The caller is the spender that was signed.
    function digestOf(PermitTransferFrom calldata permit, bytes32 witness, string calldata witnessType) private view returns (bytes32) {
        bytes32 permitted = keccak256(abi.encode(PERMISSIONS, permit.permitted.token, permit.permitted.amount));
        bytes32 kind = keccak256(abi.encodePacked(STUB, witnessType));
        return Signed.digest(DOMAIN_SEPARATOR(), keccak256(abi.encode(kind, permitted, msg.sender, permit.nonce, permit.deadline, witness)));
    }

    // A contract's word goes before any key's.
    function signedBy(address owner, bytes32 digest, bytes calldata signature) private view {
        if (owner.code.length == 0) {
            if (!Signed.byKey(owner, digest, signature)) revert InvalidSigner();
            return;
        }
        (bool answered, bytes memory said) = owner.staticcall(abi.encodeWithSignature("isValidSignature(bytes32,bytes)", digest, signature));
        if (!answered || said.length < 32 || abi.decode(said, (bytes32)) != bytes32(bytes4(0x1626ba7e))) revert InvalidContractSignature();
    }

    // Some tokens answer nothing; an account without code answers nothing to everything.
    function moved(address token, bytes memory call) private {
        (bool done, bytes memory said) = token.call(call);
        if (!done || token.code.length == 0 || (said.length != 0 && !(said.length >= 32 && uint256(bytes32(said)) == 1))) revert TransferFromFailed();
    }
}
