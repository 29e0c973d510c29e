// Records written out canonically and named by their CID, beside bare SHA-256 of the same bytes.
#include <openssl/sha.h>

#include <souk/messages/dag_cbor.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/samples.hpp>

namespace souk::bench {

namespace {

template <class Record>
void measure(const settings& s, const Record& record, std::vector<row>& out) {
    const auto as_value = to_record(record);
    const auto bytes = encode_dag_cbor(as_value);
    const auto found = rates(
        s.repetitions, [&] { used(cid::of_dag_cbor(encode_described(record))); }, [&] { used(cid::of_dag_cbor(encode_dag_cbor(as_value))); },
        [&] { used(from_record<Record>(*decode_dag_cbor(bytes))); },
        [&] {
            unsigned char digest[SHA256_DIGEST_LENGTH];
            SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
            used(digest);
        });
    const auto nsid = std::string(Record::nsid.substr(Record::nsid.rfind('.') + 1));
    const auto name = nsid + " (" + std::to_string(bytes.size()) + " bytes) ";
    out.push_back({name + "struct to CID", found[0], "/s", found[3], "bare SHA-256"});
    out.push_back({name + "value to CID", found[1], "/s", found[3], "bare SHA-256"});
    out.push_back({name + "bytes to struct", found[2], "/s", found[3], "bare SHA-256"});
}

} // namespace

std::vector<row> records(const settings& s) {
    std::vector<row> out;
    measure(s, sample_bid({"at://did:plc:5svqtrhheairglgiiyvutzik/com.publicdomainrelay.ccrfp/3mlfnx4u5is22", cid::of_raw("a request").text()}), out);
    measure(s, sample_request(), out);
    return out;
}

} // namespace souk::bench
