// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Signed} from "./Signed.sol";

/// A wallet whose word is its owner's signature (EIP-1271).
contract LateWallet {
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return Signed.byKey(owner, digest, signature) ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// Makes them when they are first needed, each where it was said that it would be (EIP-1014).
contract WalletFactory {
    function make(address owner, bytes32 salt) external returns (address at) {
        at = where(owner, salt);
        if (at.code.length == 0) new LateWallet{salt: salt}(owner);
    }

    function where(address owner, bytes32 salt) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(LateWallet).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code)))));
    }
}
