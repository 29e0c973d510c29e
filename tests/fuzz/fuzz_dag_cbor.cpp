#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

#include "fuzz.hpp"

using namespace souk;

FUZZ {
    const auto v = decode_dag_cbor(bytes);
    if (!v) return must(!v.error().code.empty(), "a refusal has a code");
    must(encode_dag_cbor(*v) == bytes, "one value has one encoding");
    const auto again = from_json(to_json(*v, json_form::atproto), json_form::atproto);
    // A map that looks like {"$bytes": ...} already is the one thing that JSON cannot tell.
    if (again) must(encode_dag_cbor(*again) == bytes || bytes.find('$') != std::string_view::npos, "a value survives JSON");
}
