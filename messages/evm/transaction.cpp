#include <souk/messages/evm/transaction.hpp>

#include <souk/messages/evm/rlp.hpp>

namespace souk::evm {

result<signed_transaction> sign(const transaction& t, const crypto::secret& key32) {
    constexpr char type = 2;
    const auto to = bytes_of(t.to, 20);
    if (!to) return refusal{"bad_address", "a transaction's receiver is 0x and 40 hexadecimal digits"};
    const auto nobody_else_listed = rlp::list("");
    const auto fields = rlp::number(t.chain) + rlp::number(t.nonce) + rlp::number(t.tip) + rlp::number(t.most) + rlp::number(t.gas) + rlp::text(*to) +
                        rlp::number(t.value) + rlp::text(t.data) + nobody_else_listed;
    const auto signature = crypto::sign_digest(key32, crypto::keccak256(type + rlp::list(fields)));
    if (!signature) return signature.error();
    const auto parity = static_cast<std::uint64_t>((*signature)[64] - 27);
    signed_transaction s;
    s.raw = type + rlp::list(fields + rlp::number(parity) + rlp::integer(std::string_view(*signature).substr(0, 32)) +
                             rlp::integer(std::string_view(*signature).substr(32, 32)));
    s.hash = to_hex_text(crypto::keccak256(s.raw));
    return s;
}

} // namespace souk::evm
