#include <souk/messages/evm/token.hpp>

#include <souk/messages/evm/abi.hpp>

namespace souk::evm::token {

namespace {

constexpr std::string_view wrapped_mark{"\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92", 32};
using abi::largest_signature;

} // namespace

result<std::string> balance_of(std::string_view address) {
    const auto of = address_word(address);
    if (!of) return of.error();
    return abi::call("balanceOf(address)", {abi::fixed(*of)});
}
result<std::string> allowance(std::string_view owner, std::string_view spender) {
    const auto of = address_word(owner), to = address_word(spender);
    if (!of) return of.error();
    if (!to) return to.error();
    return abi::call("allowance(address,address)", {abi::fixed(*of), abi::fixed(*to)});
}
result<std::string> approve(std::string_view spender, std::string_view amount) {
    const auto to = address_word(spender), much = uint256(amount);
    if (!to) return to.error();
    if (!much) return much.error();
    return abi::call("approve(address,uint256)", {abi::fixed(*to), abi::fixed(*much)});
}
result<std::string> authorization_state(std::string_view authorizer, std::string_view nonce) {
    const auto of = address_word(authorizer), n = bytes_of(nonce, 32);
    if (!of) return of.error();
    if (!n) return n.error();
    return abi::call("authorizationState(address,bytes32)", {abi::fixed(*of), abi::fixed(*n)});
}
std::string name() { return abi::call("name()", {}); }
std::string version() { return abi::call("version()", {}); }

result<std::string> transfer_with_authorization(const x402::authorization& a, std::string_view signature) {
    const auto words = x402::words_of(a);
    if (!words) return words.error();
    if (signature.size() > largest_signature) return refusal{"bad_signature", "a signature of " + std::to_string(signature.size()) + " bytes"};
    std::vector<abi::item> arguments;
    for (const auto& w : *words) arguments.push_back(abi::fixed(w));
    if (signature.size() != 65) {
        arguments.push_back(abi::bytes(signature));
        return abi::call("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", arguments);
    }
    arguments.push_back(abi::fixed(number(static_cast<unsigned char>(signature[64]))));
    arguments.push_back(abi::fixed(word(signature.substr(0, 32))));
    arguments.push_back(abi::fixed(word(signature.substr(32, 32))));
    return abi::call("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", arguments);
}

const std::string& transferred() {
    static const auto one = to_hex_text(abi::topic("Transfer(address,address,uint256)"));
    return one;
}
const std::string& authorization_used() {
    static const auto one = to_hex_text(abi::topic("AuthorizationUsed(address,bytes32)"));
    return one;
}

result<std::string> is_valid_signature(std::string_view digest, std::string_view signature) {
    if (digest.size() != 32 || signature.size() > largest_signature) return refusal{"bad_signature", "a digest is 32 bytes, a signature 8 KiB at most"};
    return abi::call("isValidSignature(bytes32,bytes)", {abi::fixed(word(digest)), abi::bytes(signature)});
}
bool is_yes(std::string_view answer) { return answer.size() >= 32 && answer.substr(0, 32) == abi::selector("isValidSignature(bytes32,bytes)") + std::string(28, '\0'); }

bool is_wrapped(std::string_view signature) { return signature.size() > 32 && signature.ends_with(wrapped_mark); }
result<wrapped> unwrap(std::string_view signature) {
    const refusal bad{"bad_signature", "not a signature as EIP-6492 wraps it"};
    if (!is_wrapped(signature) || signature.size() > largest_signature) return bad;
    signature.remove_suffix(32);
    const auto factory = abi::word_at(signature, 0);
    auto deploy = abi::bytes_at(signature, 1, largest_signature), inner = abi::bytes_at(signature, 2, largest_signature);
    if (!factory || factory->find_first_not_of('\0') < 12 || !deploy || !inner) return bad;
    return wrapped{address_of(*factory), std::move(*deploy), std::move(*inner)};
}

} // namespace souk::evm::token
