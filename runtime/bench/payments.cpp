// Payments judged without a chain, beside libsecp256k1's recovery alone with everything parsed beforehand.
#include <secp256k1_recovery.h>

#include <stdexcept>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/channel.hpp>
#include <souk/messages/x402.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>

namespace souk::bench {

namespace {

const unsigned char* in(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

class bare { // who signed it, and nothing else
public:
    bare(std::string_view digest, std::string_view signature65) : digest_(digest) {
        const int v = static_cast<unsigned char>(signature65[64]) - 27;
        if (!secp256k1_ecdsa_recoverable_signature_parse_compact(context_, &signature_, in(signature65), v)) throw std::logic_error("a signature of our own does not parse");
    }
    bare(const bare&) = delete;
    bare& operator=(const bare&) = delete;
    ~bare() { secp256k1_context_destroy(context_); }
    bool recovers() const {
        secp256k1_pubkey key;
        return secp256k1_ecdsa_recover(context_, &key, &signature_, in(digest_)) == 1;
    }

private:
    secp256k1_context* context_ = secp256k1_context_create(SECP256K1_CONTEXT_VERIFY);
    std::string digest_;
    secp256k1_ecdsa_recoverable_signature signature_{};
};

template <class T>
T must(result<T> r) {
    if (!r) throw std::logic_error(r.error().text);
    return std::move(*r);
}

} // namespace

std::vector<row> payments(const settings& s) {
    const auto payer = crypto::generate(crypto::curve::k256), seller = crypto::generate(crypto::curve::k256);
    const auto from = must(crypto::address_of(payer)), to = must(crypto::address_of(seller));
    const auto now = instant{std::chrono::seconds{1'760'000'000}};

    x402::requirements offered;
    offered.scheme = "exact", offered.network = "eip155:84532", offered.amount = "10000", offered.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e", offered.payTo = to;
    offered.maxTimeoutSeconds = 300, offered.extra = value::map{{"name", "USDC"}, {"version", "2"}};
    x402::payment paid;
    paid.accepted = offered;
    auto& a = paid.payload.authorization;
    a.from = from, a.to = to, a.value = "10000", a.validAfter = "0", a.validBefore = "1760000300", a.nonce = "0x" + to_hex(crypto::sha256("a payment"));
    const auto digest = must(x402::digest_of(must(x402::domain_of(offered)), a));
    const auto signature = must(crypto::sign_digest(payer, digest));
    paid.payload.signature = "0x" + to_hex(signature);

    namespace channel = evm::channel;
    const channel::place on{84532};
    const channel::config c{from, "0x0000000000000000000000000000000000000000", to, to, offered.asset, 900, "0x" + to_hex(crypto::sha256("a channel"))};
    const auto voucher = must(channel::sign_voucher(on, c, "123456", payer));

    const auto good = [](const auto& r) {
        if (!r) throw std::logic_error("a good payment was refused: " + r.error().text);
    };
    const bare library(digest, signature);
    const auto found = rates(
        s.repetitions, [&] { good(channel::check_voucher(on, c, voucher)); }, [&] { good(x402::check_exact(paid, offered, now)); },
        [&] { if (!library.recovers()) throw std::logic_error("it does not recover"); });
    const std::string beside = "libsecp256k1 recover";
    return {{"a voucher of a channel checked", found[0], "/s", found[2], beside, found[2] * 0.8}, {"an exact payment checked", found[1], "/s", found[2], beside}};
}

} // namespace souk::bench
