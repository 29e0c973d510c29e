// Content identifiers as AT Protocol uses them: CIDv1, dag-cbor (0x71) or raw (0x55), sha2-256.
#pragma once
#include <compare>
#include <string>
#include <string_view>

#include <souk/messages/result.hpp>

namespace souk {

class cid {
public:
    static constexpr std::size_t size = 36; // 01, codec, 12, 20, 32 bytes of SHA-256

    cid() = default; // none
    static cid of_dag_cbor(std::string_view block);
    static cid of_raw(std::string_view block);
    static result<cid> parse(std::string_view text);       // "b" + base32; code "bad_cid"
    static result<cid> from_bytes(std::string_view bytes); // exactly 36; code "bad_cid"

    std::string text() const; // "" for none
    const std::string& bytes() const { return bytes_; }
    bool empty() const { return bytes_.empty(); }
    auto operator<=>(const cid&) const = default;

private:
    explicit cid(std::string bytes) : bytes_(std::move(bytes)) {}
    std::string bytes_;
};

} // namespace souk
