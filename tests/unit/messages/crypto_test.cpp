#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>

using namespace souk;
using crypto::curve;

namespace {

std::string hex(const char* text) { return from_hex(text).value(); }

// n - s: the other signature of the same message.
std::string high_twin(std::string signature, curve on) {
    const auto order = hex(on == curve::k256 ? "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
                                             : "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
        int d = static_cast<unsigned char>(order[i]) - static_cast<unsigned char>(signature[32 + i]) - borrow;
        borrow = d < 0;
        signature[32 + i] = static_cast<char>(d + (borrow ? 256 : 0));
    }
    return signature;
}

} // namespace

TEST_CASE("hashes are the standards' own") {
    CHECK(to_hex(crypto::sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(to_hex(crypto::keccak256("")) == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
}

TEST_CASE("what a key signs, its public key verifies, and nothing else") {
    for (const auto on : {curve::k256, curve::p256}) {
        const auto key = crypto::generate(on), other = crypto::generate(on);
        const auto open = crypto::public_of(on, key).value(), others = crypto::public_of(on, other).value();
        for (int i = 0; i < 20; ++i) { // enough that a p256 signature would have been high without normalisation
            const auto message = "bid " + std::to_string(i);
            const auto signature = crypto::sign(on, key, message).value();
            CHECK(signature.size() == 64);
            CHECK(crypto::verify(open, message, signature).has_value());
            CHECK(crypto::verify(others, message, signature).error().code == "bad_signature");
            CHECK(crypto::verify(open, message + '.', signature).error().code == "bad_signature");
            CHECK(crypto::verify(open, message, high_twin(signature, on)).error().code == "high_s");
            CHECK(crypto::verifier::of(open).value().check(message, signature).has_value());
        }
        for (const auto& bad :
             {std::string(), std::string(64, '\0'), std::string(64, '\xff'), std::string(63, '\1'), std::string(65, '\1')})
            CHECK(crypto::verify(open, "x", bad).error().code == "bad_signature");
        CHECK(crypto::sign(on, crypto::secret(std::string(32, '\0')), "x").error().code == "bad_key");
        CHECK(crypto::sign(on, crypto::secret(std::string(32, '\xff')), "x").error().code == "bad_key");
        CHECK(crypto::sign(on, crypto::secret("short"), "x").error().code == "bad_key");
        auto off_curve = open;
        off_curve.compressed = "\x02" + std::string(32, '\xff');
        CHECK(crypto::verify(off_curve, "x", crypto::sign(on, key, "x").value()).error().code == "bad_key");
    }
}

TEST_CASE("public keys travel as did:key") {
    const std::string k256 = "did:key:zQ3shVccyeD7zq2BSdRqcp2pozYzsGsJmc88gAy1m8SUX93LE";
    const auto key = crypto::public_key::from_did_key(k256).value();
    CHECK(key.on == curve::k256);
    CHECK(key.did_key() == k256);
    CHECK(crypto::public_key::from_multikey(k256.substr(8)).value() == key);
    const auto p256 = crypto::public_of(curve::p256, crypto::generate(curve::p256)).value();
    CHECK(p256.did_key().starts_with("did:key:zDn"));
    CHECK(crypto::public_key::from_did_key(p256.did_key()).value() == p256);
    const auto x25519 = crypto::seal_did_key(crypto::generate_seal_pair().public32);
    CHECK(x25519.starts_with("did:key:z6LS"));
    for (const auto& bad :
         {std::string(), std::string("did:key:"), k256.substr(8), k256 + "z", "did:key:Q" + k256.substr(10), x25519}) {
        CHECK(crypto::public_key::from_did_key(bad).error().code == "bad_key");
    }
    CHECK(crypto::seal_key_of(k256).error().code == "bad_key");
}

TEST_CASE("an Ethereum signature gives back its address") {
    // The first two keys of the test mnemonic that every Ethereum tool ships.
    const crypto::secret key(hex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"));
    CHECK(crypto::address_of(key).value() == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    const auto digest = crypto::keccak256("pay");
    const auto signature = crypto::sign_digest(key, digest).value();
    CHECK((signature[64] == 27 || signature[64] == 28));
    CHECK(crypto::recover(digest, signature).value() == crypto::address_of(key).value());
    const auto other = crypto::recover(crypto::keccak256("pay more"), signature);
    CHECK((other.has_error() || *other != crypto::address_of(key).value()));

    auto twin = high_twin(signature.substr(0, 64), curve::k256) + static_cast<char>(55 - signature[64]);
    CHECK(crypto::recover(digest, twin).error().code == "high_s");
    for (char v : {'\0', '\1', '\x1a', '\x1d', '\x25'})
        CHECK(crypto::recover(digest, signature.substr(0, 64) + v).error().code == "bad_v");
    CHECK(crypto::recover(digest, signature.substr(0, 64)).error().code == "bad_signature");
    CHECK(crypto::recover("short", signature).error().code == "bad_signature");
    CHECK(crypto::recover(digest, std::string(64, '\0') + '\x1b').error().code == "bad_signature");
}

TEST_CASE("addresses are checksummed for people and compared without case") {
    CHECK(crypto::checksummed("0x70997970c51812dc3a010c7d01b50e0d17dc79c8").value() ==
          "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    CHECK(crypto::same_address("0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x70997970C51812DC3A010C7D01B50E0D17DC79C8"));
    CHECK_FALSE(crypto::same_address("0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x70997970c51812dc3a010c7d01b50e0d17dc79c9"));
    CHECK_FALSE(crypto::same_address("", ""));
    CHECK(crypto::checksummed("70997970c51812dc3a010c7d01b50e0d17dc79c8").error().code == "bad_address");
    CHECK(crypto::checksummed("0x70997970c51812dc3a010c7d01b50e0d17dc79cg").error().code == "bad_address");
}

TEST_CASE("what is sealed to a key opens with it, and only whole") {
    const auto alice = crypto::generate_seal_pair(), eve = crypto::generate_seal_pair();
    const auto sealed = crypto::seal(crypto::seal_key_of(crypto::seal_did_key(alice.public32)).value(), "the way in").value();
    CHECK(crypto::unseal(alice.public32, alice.private32, sealed).value() == "the way in");
    CHECK(crypto::unseal(eve.public32, eve.private32, sealed).error().code == "cannot_open");
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto changed = sealed;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        CHECK(crypto::unseal(alice.public32, alice.private32, changed).error().code == "cannot_open");
    }
    CHECK(crypto::unseal(alice.public32, alice.private32, "").error().code == "cannot_open");
    CHECK(crypto::seal("short", "x").error().code == "bad_key");
}

TEST_CASE("keys are used from many threads at once") {
    const auto key = crypto::generate(curve::k256);
    const auto open = crypto::public_of(curve::k256, key).value();
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                const auto message = std::to_string(t * 1000 + i);
                good += crypto::verify(open, message, crypto::sign(curve::k256, key, message).value()).has_value();
            }
        });
    for (auto& t : threads) t.join();
    CHECK(good == 200);
}

TEST_CASE("a secret wipes what it held when it moves or dies") {
    crypto::secret one("a secret");
    const auto* there = one.view().data(); // short, so inside the object itself
    crypto::secret two(std::move(one));
    CHECK(two.view() == "a secret");
    CHECK(std::string(there, 8) == std::string(8, '\0'));
}
