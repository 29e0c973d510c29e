// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// Who signed a digest (EIP-712), and the domains that digests are made in.
library Signed {
    // Half the order of secp256k1: above it lies a second signature of every message.
    uint256 internal constant HIGHEST_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// Of `contract_`, on this chain. Not kept: a chain may be forked under another number.
    function domain(string memory name, string memory version, address contract_) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                block.chainid,
                contract_
            )
        );
    }

    function digest(bytes32 separator, bytes32 what) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", separator, what));
    }

    /// The parts of 65 bytes.
    function split(bytes memory signature) internal pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }

    /// By this key: 65 bytes, low s, v of 27 or 28.
    function byKey(address who, bytes32 digest_, bytes memory signature) internal pure returns (bool) {
        if (signature.length != 65 || who == address(0)) return false;
        (bytes32 r, bytes32 s, uint8 v) = split(signature);
        if (uint256(s) > HIGHEST_S || (v != 27 && v != 28)) return false;
        return ecrecover(digest_, v, r, s) == who;
    }

    /// By this account: its key, or its contract's word (EIP-1271). The key goes first: an account may have both (EIP-7702).
    function by(address who, bytes32 digest_, bytes memory signature) internal view returns (bool) {
        if (byKey(who, digest_, signature)) return true;
        if (who.code.length == 0) return false;
        (bool answered, bytes memory said) = who.staticcall(abi.encodeWithSignature("isValidSignature(bytes32,bytes)", digest_, signature));
        return answered && said.length >= 32 && abi.decode(said, (bytes32)) == bytes32(bytes4(0x1626ba7e));
    }
}
