#include <souk/messages/seal.hpp>

namespace souk {

namespace {

constexpr std::size_t largest_access = 64 * 1024;

} // namespace

result<std::string> seal_access(const access_details& access, std::string_view seal_did_key) {
    const auto key = crypto::seal_key_of(seal_did_key);
    if (!key) return key.error();
    return crypto::seal(*key, encode_described(access));
}

result<access_details> open_access(std::string_view sealed, std::string_view accept_cid, std::string_view public32,
                                   const crypto::secret& private32) {
    if (sealed.size() > largest_access) return refusal{"cannot_open", "more than 64 KiB of sealed details"};
    const auto clear = crypto::unseal(public32, private32, sealed);
    if (!clear) return clear.error();
    auto access = decode_described<access_details>(*clear);
    if (!access) return access;
    if (access->accept != accept_cid)
        return refusal{"seal_of_another_contract", "these details are for the accept " + access->accept};
    return access;
}

} // namespace souk
