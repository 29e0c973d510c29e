// The typed-data digest of an EIP-3009 authorisation (x402.hpp). EIP-712: https://eips.ethereum.org/EIPS/eip-712
#include <souk/messages/bytes.hpp>
#include <souk/messages/uint256.hpp>
#include <souk/messages/x402.hpp>

namespace souk::x402 {

namespace {

using crypto::keccak256;

// "0x" and this many bytes in hexadecimal.
result<std::string> fixed(std::string_view text, std::size_t size) {
    const refusal bad{"bad_authorization", "expected 0x and " + std::to_string(2 * size) + " hexadecimal digits"};
    if (text.size() != 2 + 2 * size || !text.starts_with("0x")) return bad;
    auto bytes = from_hex(text.substr(2));
    if (!bytes) return bad;
    return bytes;
}

result<std::string> address_word(std::string_view text) {
    auto bytes = fixed(text, 20);
    if (!bytes) return bytes;
    return std::string(12, '\0') + *bytes;
}

} // namespace

std::string authorization_type_hash() {
    static const auto hash = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)");
    return hash;
}

result<std::string> struct_hash(const authorization& a) {
    const std::pair<const char*, result<std::string>> words[] = {{"from", address_word(a.from)},
                                                                 {"to", address_word(a.to)},
                                                                 {"value", uint256(a.value)},
                                                                 {"validAfter", uint256(a.validAfter)},
                                                                 {"validBefore", uint256(a.validBefore)},
                                                                 {"nonce", fixed(a.nonce, 32)}};
    auto encoded = authorization_type_hash();
    for (const auto& [name, word] : words) {
        if (!word) return refusal{"bad_authorization", std::string(name) + ": " + word.error().text};
        encoded += *word;
    }
    return keccak256(encoded);
}

result<std::string> domain_separator(const domain& d) {
    static const auto type = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    const auto contract = address_word(d.contract);
    if (!contract) return refusal{"bad_authorization", "verifyingContract: " + contract.error().text};
    return keccak256(type + keccak256(d.name) + keccak256(d.version) + *uint256(std::to_string(d.chain_id)) + *contract);
}

result<std::string> digest_of(const domain& d, const authorization& a) {
    const auto separator = domain_separator(d), message = struct_hash(a);
    if (!separator) return separator;
    if (!message) return message;
    return keccak256("\x19\x01" + *separator + *message);
}

std::string nonce_for(const cid& accept, std::uint64_t slice) {
    std::string bytes = "souk payment" + accept.bytes();
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(slice >> shift & 0xff);
    return "0x" + to_hex(crypto::sha256(bytes));
}

} // namespace souk::x402
