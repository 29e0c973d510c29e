// Receipts: their signatures, and what is sealed in them.
#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/seal.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

const auto pair = crypto::generate_seal_pair();
const auto key = crypto::generate(crypto::curve::k256);

void open(std::string_view sealed) { (void)open_access(sealed, "bafyaccept", pair.public32, pair.private32); }

result<std::vector<crypto::public_key>> nobodys(std::string_view) { return std::vector<crypto::public_key>(); }

void judge(value record) {
    must(check_attestation(record, "did:plc:bob", "did:plc:bob", nobodys).has_error(), "nobody's key signs nothing");
    const auto before = record;
    if (!attest(record, "did:plc:bob", "did:plc:bob", crypto::curve::k256, key))
        return must(record == before || record.find("signatures"), "a refused record stays");
    const auto r = check_attestation(record, "did:plc:bob", "did:plc:bob", nobodys);
    must(r.has_error(), "still nobody's");
}

} // namespace

FUZZ {
    open(bytes);
    open(crypto::seal(pair.public32, bytes).value()); // what a peer may have sealed
    if (auto v = from_json(bytes, json_form::atproto)) judge(std::move(*v));
    if (auto v = decode_dag_cbor(bytes)) judge(std::move(*v));
}
