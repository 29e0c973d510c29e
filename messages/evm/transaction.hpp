// A transaction of type 2, signed: the same fields under the same key are the same bytes (RFC 6979), so its hash is known before anybody
// has seen it. EIP-1559: https://eips.ethereum.org/EIPS/eip-1559
#pragma once
#include <souk/messages/crypto.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk::evm {

struct transaction {
    std::uint64_t chain = 0, nonce = 0;
    std::uint64_t tip = 0, most = 0; // wei a unit of gas: for who includes it, and in all
    std::uint64_t gas = 0;
    std::string to;                  // address
    std::uint64_t value = 0;         // wei
    std::string data;
};
struct signed_transaction {
    std::string raw;  // bytes
    std::string hash; // "0x" and 64 digits
};

// Codes "bad_address", "bad_key", "bad_signature".
result<signed_transaction> sign(const transaction&, const crypto::secret& key32);

} // namespace souk::evm
