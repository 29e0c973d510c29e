// The typed-data digest of an EIP-3009 authorisation (x402.hpp). https://eips.ethereum.org/EIPS/eip-3009
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/typed_data.hpp>
#include <souk/messages/x402.hpp>

namespace souk::x402 {

namespace {

constexpr std::string_view type = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";

} // namespace

std::string authorization_type_hash() { return crypto::keccak256(type); }

result<std::vector<evm::word>> words_of(const authorization& a) {
    const std::pair<const char*, result<evm::word>> all[] = {{"from", evm::address_word(a.from)},
                                                             {"to", evm::address_word(a.to)},
                                                             {"value", evm::uint256(a.value)},
                                                             {"validAfter", evm::uint256(a.validAfter)},
                                                             {"validBefore", evm::uint256(a.validBefore)},
                                                             {"nonce", evm::bytes_of(a.nonce, 32)}};
    std::vector<evm::word> words;
    for (const auto& [name, word] : all) {
        if (!word) return refusal{"bad_authorization", std::string(name) + ": " + word.error().text};
        words.push_back(*word);
    }
    return words;
}

result<std::string> struct_hash(const authorization& a) {
    const auto words = words_of(a);
    if (!words) return words.error();
    return evm::struct_hash(type, *words);
}

result<std::string> domain_separator(const domain& d) {
    auto separator = evm::domain_separator(d.name, d.version, d.chain_id, d.contract);
    if (!separator) return refusal{"bad_authorization", "verifyingContract: " + separator.error().text};
    return separator;
}

result<std::string> digest_of(const domain& d, const authorization& a) {
    const auto separator = domain_separator(d), message = struct_hash(a);
    if (!separator) return separator;
    if (!message) return message;
    return evm::typed_digest(*separator, *message);
}

std::string nonce_for(const cid& accept, std::uint64_t slice) {
    std::string bytes = "souk payment" + accept.bytes();
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(slice >> shift & 0xff);
    return evm::to_hex_text(crypto::sha256(bytes));
}

} // namespace souk::x402
