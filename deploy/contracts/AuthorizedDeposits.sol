// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ChannelConfig, ChannelName, Collector} from "./Channels.sol";
import {Signed} from "./Signed.sol";

/// Fetches a deposit by the payer's signature (EIP-3009), so that he needs no gas. The signature is for this contract and, by its nonce, for one
/// channel of the one contract that may call for it: the channel's name holds that contract's address, which is the caller's here.
contract AuthorizedDeposits is Collector {
    error TransferFailed();

    function collect(ChannelConfig calldata config, uint256 amount, bytes calldata data) external {
        (uint256 validAfter, uint256 validBefore, uint256 salt, bytes memory signature) = abi.decode(data, (uint256, uint256, uint256, bytes));
        bytes32 nonce = keccak256(abi.encode(ChannelName.idOf(config, msg.sender), salt));
        bytes memory call;
        if (signature.length == 65) {
            // The form that every token of this kind has.
            (bytes32 r, bytes32 s, uint8 v) = Signed.split(signature);
            call = abi.encodeWithSignature(
                "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
                config.payer, address(this), amount, validAfter, validBefore, nonce, v, r, s
            );
        } else {
            call = abi.encodeWithSignature(
                "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
                config.payer, address(this), amount, validAfter, validBefore, nonce, signature
            );
        }
        done(config.token, call);
        done(config.token, abi.encodeWithSignature("transfer(address,uint256)", msg.sender, amount)); // the caller measures what came
    }

    // The token's own words go on to whoever asks why.
    function done(address token, bytes memory call) private {
        (bool ok, bytes memory said) = token.call(call);
        if (!ok) {
            assembly {
                revert(add(said, 32), mload(said))
            }
        }
        if (token.code.length == 0 || (said.length != 0 && !(said.length >= 32 && uint256(bytes32(said)) == 1))) revert TransferFailed();
    }
}
