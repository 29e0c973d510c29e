#include <souk/messages/evm/typed_data.hpp>

#include <souk/messages/crypto.hpp>

namespace souk::evm {

using crypto::keccak256;

std::string struct_hash(std::string_view type, const std::vector<word>& members) {
    auto all = keccak256(type);
    for (const auto& w : members) all += w;
    return keccak256(all);
}

result<std::string> domain_separator(std::string_view name, std::optional<std::string_view> version, std::uint64_t chain, std::string_view contract) {
    auto at = address_word(contract);
    if (!at) return at.error();
    if (!version) return struct_hash("EIP712Domain(string name,uint256 chainId,address verifyingContract)", {keccak256(name), number(chain), *at});
    return struct_hash("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)", {keccak256(name), keccak256(*version), number(chain), *at});
}

std::string typed_digest(std::string_view separator, std::string_view hash) { return keccak256("\x19\x01" + std::string(separator) + std::string(hash)); }

} // namespace souk::evm
