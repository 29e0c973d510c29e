// Signatures verified, beside libsecp256k1 alone with everything parsed beforehand.
#include <secp256k1.h>

#include <stdexcept>

#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/samples.hpp>

namespace souk::bench {

namespace {

const unsigned char* in(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

struct bare { // what the library itself needs
    secp256k1_context* context = secp256k1_context_create(SECP256K1_CONTEXT_VERIFY);
    secp256k1_pubkey key{};
    secp256k1_ecdsa_signature signature{};

    bare(const crypto::public_key& k, std::string_view signature64) {
        if (!secp256k1_ec_pubkey_parse(context, &key, in(k.compressed), k.compressed.size()) ||
            !secp256k1_ecdsa_signature_parse_compact(context, &signature, in(signature64)))
            throw std::logic_error("a signature of our own does not parse");
    }
    bare(const bare&) = delete;
    bare& operator=(const bare&) = delete;
    ~bare() { secp256k1_context_destroy(context); }
    bool holds(std::string_view digest) const { return secp256k1_ecdsa_verify(context, &signature, in(digest), &key) == 1; }
};

} // namespace

std::vector<row> signatures(const settings& s) {
    const std::string did = "did:plc:5svqtrhheairglgiiyvutzik", when = "2026-05-09T07:42:10.000Z";
    const auto secret = crypto::generate(crypto::curve::k256);
    const auto key = crypto::public_of(crypto::curve::k256, secret).value();
    auto record = to_record(sample_bid({"at://" + did + "/com.publicdomainrelay.ccrfp/3mlfnx4u5is22", cid::of_raw("a request").text()}));
    const auto unsigned_record = record;
    if (const auto ok = attest(record, did, did, crypto::curve::k256, secret, when); !ok) throw std::logic_error(ok.error().text);

    const std::string message = cid_of(record).bytes();
    const auto signature = crypto::sign(crypto::curve::k256, secret, message).value();
    const auto digest = crypto::sha256(message);
    const auto parsed = crypto::verifier::of(key).value();
    const bare library(key, signature);
    const keys_of_did keys = [&](std::string_view) -> result<std::vector<crypto::public_key>> { return std::vector{key}; };
    const auto must = [](bool good) {
        if (!good) throw std::logic_error("a good signature was refused");
    };
    const auto found = rates(
        s.repetitions, [&] { must(check_attestation(record, did, did, keys).has_value()); }, [&] { must(crypto::verify(key, message, signature).has_value()); },
        [&] { must(parsed.check(message, signature).has_value()); },
        [&] {
            auto copy = unsigned_record;
            must(attest(copy, did, did, crypto::curve::k256, secret, when).has_value());
        },
        [&] { must(library.holds(digest)); });
    const std::string beside = "libsecp256k1 verify";
    return {{"a signed bid checked (attestation)", found[0], "/s", found[4], beside},
            {"verify, key as bytes", found[1], "/s", found[4], beside},
            {"verify, key parsed before", found[2], "/s", found[4], beside},
            {"a bid signed", found[3], "/s", found[4], beside}};
}

} // namespace souk::bench
