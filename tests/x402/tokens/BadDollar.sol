// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// A token that cannot be trusted, in each of the ways that a rail must survive. `manner` is set from outside, as a test likes it.
contract BadDollar {
    uint256 public manner;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(bytes32 => bool)) public authorizationState;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    function name() external pure returns (string memory) {
        return "USDC";
    }

    function version() external pure returns (string memory) {
        return "2";
    }

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function transferWithAuthorization(
        address from, address to, uint256 value, uint256, uint256, bytes32 nonce, uint8, bytes32, bytes32
    ) external {
        if (manner == 1) revert("not today");
        if (manner == 2) while (true) authorizationState[from][keccak256(abi.encode(gasleft()))] = true;
        if (manner == 3 && tx.gasprice != 0) revert("it was only asked"); // good while it costs nothing
        authorizationState[from][nonce] = true;
        emit AuthorizationUsed(from, nonce);
        if (manner == 4) return; // says that it did
        uint256 arrives = manner == 5 ? value - value / 10 : value;
        balanceOf[from] -= value;
        balanceOf[to] += arrives;
        emit Transfer(from, to, arrives);
    }
}
