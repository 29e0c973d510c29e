// Strict DAG-CBOR (https://ipld.io/specs/codecs/dag-cbor/spec/, less floats, as AT Protocol has it).
#pragma once
#include <souk/messages/value.hpp>

namespace souk {

struct cbor_limits {
    std::size_t bytes = 1 << 20;  // the largest record that an AT Protocol host takes
    unsigned depth = 64;
    std::size_t items = 100'000;  // values of every kind, so that small bytes cannot ask for much memory
};

// A text that is not UTF-8 throws std::invalid_argument: it would make bytes that nobody can read back (see to_utf8, octets).
std::string encode_dag_cbor(const value&);
// Refuses what has another canonical form: long integers, unsorted or double keys, indefinite lengths, floats, tags but 42,
// bytes after the end. Codes: "cbor_truncated", "cbor_float", "cbor_key_order", "cbor_duplicate_key", "cbor_not_canonical",
// "cbor_bad_tag", "cbor_bad_utf8", "cbor_trailing_bytes", "cbor_too_deep", "cbor_too_large", "cbor_number_range".
result<value> decode_dag_cbor(std::string_view bytes, const cbor_limits& = {});

// CID of a record: of its canonical bytes.
inline cid cid_of(const value& v) { return cid::of_dag_cbor(encode_dag_cbor(v)); }

} // namespace souk
