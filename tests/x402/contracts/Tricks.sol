// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ChannelConfig, Collector} from "./Channels.sol";

/// A token that does as it is told: honestly, or in one of the ways in which tokens are not what they say.
contract TrickyToken {
    enum Way { Honest, Quiet, SaysNo, SaysYesDoesNothing, TakesAFee, TakesMore, CallsBack }

    Way public way;
    address public target; // who is called back, with what, while a transfer is made
    bytes public call;
    bool public calledBack; // and was let in
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function be(Way way_) external {
        way = way_;
    }

    function callBack(address target_, bytes calldata call_) external {
        way = Way.CallsBack;
        target = target_;
        call = call_;
        calledBack = false;
    }

    /// As anybody may, at any other time.
    function go(address target_, bytes calldata call_) external {
        (bool done,) = target_.call(call_);
        require(done, "refused");
    }

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transfer(address to, uint256 value) external {
        move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        require(allowance[from][msg.sender] >= value, "allowance");
        allowance[from][msg.sender] -= value;
        move(from, to, value);
    }

    function move(address from, address to, uint256 value) private {
        if (way == Way.SaysNo) answer(false);
        if (way == Way.SaysYesDoesNothing) answer(true);
        if (way == Way.CallsBack) {
            (bool done,) = target.call(call);
            calledBack = calledBack || done;
        }
        balanceOf[from] -= value + (way == Way.TakesMore ? 1 : 0);
        balanceOf[to] += value - (way == Way.TakesAFee ? 1 : 0);
        if (way != Way.Quiet) answer(true);
    }

    function answer(bool said) private pure {
        assembly {
            mstore(0, said)
            return(0, 32)
        }
    }
}

/// Brings deposits by allowance, so that any token can be in a channel; brings less where told to.
contract Puller is Collector {
    function collect(ChannelConfig calldata config, uint256 amount, bytes calldata data) external {
        uint256 less = data.length == 32 ? abi.decode(data, (uint256)) : 0;
        (bool done,) = config.token.call(abi.encodeWithSignature("transferFrom(address,address,uint256)", config.payer, msg.sender, amount - less));
        require(done, "could not pull");
    }
}

/// Asks the collector of others for a deposit that was signed for the true contract.
contract Thief {
    function steal(Collector collector, ChannelConfig calldata config, uint256 amount, bytes calldata data) external {
        collector.collect(config, amount, data);
    }
}

/// A wallet that is a contract: its owner's key signs (EIP-1271), its owner's calls go out.
contract Wallet {
    address public owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata s) external view returns (bytes4) {
        return s.length == 65 && ecrecover(digest, uint8(s[64]), bytes32(s[:32]), bytes32(s[32:64])) == owner ? bytes4(0x1626ba7e) : bytes4(0);
    }

    function go(address target, bytes calldata call) external {
        require(msg.sender == owner, "not the owner");
        (bool done, bytes memory said) = target.call(call);
        if (!done) {
            assembly {
                revert(add(said, 32), mload(said))
            }
        }
    }
}
