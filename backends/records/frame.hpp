// Internal. A record as Jetstream frames it, and as XRPC answers carry it.
#pragma once
#include <souk/backends/records/repository.hpp>

namespace souk::internal {

inline constexpr std::size_t largest_record_json = 3 << 20; // 1 MiB of CBOR, with room for escapes and base64

std::string to_frame(const stored_record&);
// std::nullopt for frames of other kinds. A deletion is nobody's word but the stream's: it says to look again. "bad_frame", "bad_record", "cid_mismatch".
result<std::optional<stored_record>> from_frame(std::string_view text);

value to_entry(const stored_record&); // {uri, cid, value}
// Recomputes the CID. Codes "bad_record", "cid_mismatch".
result<stored_record> from_entry(const value&, const std::string& did, const std::string& collection);

} // namespace souk::internal
