#include <doctest/doctest.h>

#include "loopback.hpp"

#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include <sys/stat.h>

#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/keys/keystore.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace loopback;

namespace {

crypto::secret said(const std::string& text) { return crypto::secret(text); }
passphrase_source by(const std::string& text, bool configured = false) {
    return {[text]() -> result<crypto::secret> { return crypto::secret(text); }, configured};
}
std::string text_in(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
}
void put(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file, std::ios::trunc) << text;
    std::filesystem::permissions(file, std::filesystem::perms(0600));
}
std::string code_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const refused& e) {
        return e.why.code;
    }
    return "";
}
stretching quick() { // the least that is read
    auto how = stretching::fresh();
    how.memory_kib = stretching::least_memory_kib, how.passes = 1;
    return how;
}
std::string key_one() { return std::string(31, '\0') + '\1'; }

} // namespace

TEST_SUITE("keys at rest") {

TEST_CASE("a key under a passphrase opens by that passphrase, and nothing of its file can be changed unseen") {
    const auto key = crypto::generate(crypto::curve::k256);
    const auto how = quick();
    const auto right = stretch(how, said("correct horse")).value(), wrong = stretch(how, said("correct horsf")).value();
    const auto file = lock_key(key, how, right).value();
    const auto read = read_locked_key(file).value();
    CHECK(read.address == crypto::address_of(key).value());
    CHECK(file.find(to_hex(key.view())) == std::string::npos);
    CHECK(unlock_key(read, right).value().view() == key.view());
    CHECK(unlock_key(read, wrong).error().code == "wrong_passphrase");
    CHECK(lock_key(key, how, right).value() != file); // a nonce is used once
    // Each byte of the line: what is read all the same does not open.
    std::size_t opened = 0, refused_ = 0;
    for (std::size_t i = 0; i < file.size(); ++i) {
        auto other = file;
        other[i] = static_cast<char>(other[i] ^ 1);
        const auto k = read_locked_key(other);
        if (!k) {
            ++refused_;
            continue;
        }
        const auto again = k->argon2id == how ? right.copy() : stretch(k->argon2id, said("correct horse")).value();
        if (const auto back = unlock_key(*k, again)) {
            ++opened;
            CHECK_MESSAGE(back->view() == key.view(), i);
            CHECK_MESSAGE(other[i] == '\v', i); // the line's end, as another blank
        }
    }
    CHECK(opened <= 1);
    CHECK(refused_ > 100);
}

TEST_CASE("a file that asks for much more, or for less, than is spent here is refused before anything is spent") {
    const auto key = crypto::generate(crypto::curve::k256);
    const auto how = quick();
    const auto file = lock_key(key, how, stretch(how, said("passphrase")).value()).value();
    const auto with = [&](const std::string& what, const std::string& instead) {
        auto text = file;
        const auto at = text.find(what);
        REQUIRE(at != std::string::npos);
        return text.replace(at, what.size(), instead);
    };
    for (const auto& [what, instead] : std::map<std::string, std::string>{{"\"memory_kib\":8192", "\"memory_kib\":1048577"},
                                                                         {"\"passes\":1", "\"passes\":11"},
                                                                         {"\"salt\":\"", "\"salt\":\"00"},
                                                                         {"\"nonce\":\"", "\"nonce\":\"00"},
                                                                         {"\"sealed\":\"", "\"sealed\":\"00"},
                                                                         {"\"version\":1", "\"version\":2"},
                                                                         {"souk-key", "souk-kex"},
                                                                         {"\"kind\"", "\"more\":1,\"kind\""},
                                                                         {"0x", "0y"}}) {
        const auto& now = instead; // clang 14 captures no structured binding
        CAPTURE(now);
        const auto k = read_locked_key(with(what, instead));
        REQUIRE_FALSE(k);
        CHECK(k.error().code == "bad_key_file");
    }
    CHECK(read_locked_key(with("\"memory_kib\":8192", "\"memory_kib\":8191")).error().code == "bad_key_file");
    CHECK(read_locked_key(with("\"passes\":1", "\"passes\":0")).error().code == "bad_key_file");
    CHECK(read_locked_key(std::string(5000, '{')).error().code == "bad_key_file");
    CHECK(read_locked_key("").error().code == "bad_key_file");
    auto dear = how;
    dear.memory_kib = stretching::most_memory_kib + 1;
    CHECK(stretch(dear, said("passphrase")).error().code == "bad_key_file");
}

TEST_CASE("what is there is encrypted, opens again, and its passphrase can be changed") {
    const directory home;
    const auto in = home / "keys";
    const keyring plain(in);
    const auto address = plain.wallet_address();
    const auto signing = plain.signing_public(), rotation = plain.rotation_public();
    const auto gas = std::string(plain.settling(0).view());
    for (const auto& k : plain.kept()) CHECK_MESSAGE(!k.encrypted, k.file);
    CHECK(plain.encrypt(said("short")).error().code == "bad_passphrase");
    CHECK(plain.encrypt(said("the first one")).value() == 4);
    CHECK(plain.encrypt(said("the first one")).value() == 0); // done is done
    for (const auto& k : plain.kept()) CHECK_MESSAGE(k.encrypted, k.file);
    for (const auto& file : std::filesystem::directory_iterator(in)) {
        struct stat is{};
        REQUIRE(::stat(file.path().c_str(), &is) == 0);
        CHECK((is.st_mode & 0777) == 0600);
    }
    CHECK(text_in(in / "wallet.key").find(address) != std::string::npos);

    int asked = 0;
    const keyring opened(in, {[&asked]() -> result<crypto::secret> { return ++asked, crypto::secret("the first one"); }});
    CHECK(opened.wallet_address() == address);
    CHECK(asked == 0); // whose it is stands in clear
    CHECK(crypto::address_of(opened.wallet()).value() == address);
    CHECK(opened.signing_public() == signing);
    CHECK(opened.rotation_public() == rotation);
    CHECK(opened.settling(0).view() == gas);
    CHECK(asked == 1);
    (void)opened.settling(1); // one that is made beside encrypted ones is encrypted
    CHECK(is_locked(text_in(in / "settling-1.key")));

    CHECK(code_of([&] { (void)keyring(in).wallet(); }) == "key_locked");
    CHECK(keyring(in).wallet_address() == address);
    CHECK(code_of([&] { (void)keyring(in, by("another one")).wallet(); }) == "wrong_passphrase");
    CHECK(keyring(in, by("another one")).encrypt(said("the second one")).error().code == "wrong_passphrase");
    CHECK(keyring(in).encrypt(said("the second one")).error().code == "key_locked");
    CHECK(crypto::address_of(keyring(in, by("the first one")).wallet()).value() == address); // nothing was lost by either

    CHECK(opened.encrypt(said("the second one")).value() == 5);
    CHECK(crypto::address_of(keyring(in, by("the second one")).wallet()).value() == address);
    CHECK(code_of([&] { (void)keyring(in, by("the first one")).wallet(); }) == "wrong_passphrase");
}

TEST_CASE("a change of passphrase that was cut off anywhere loses nothing, and is finished by the same order again") {
    const directory home;
    const auto in = home / "keys";
    const keyring made(in);
    const auto address = made.wallet_address();
    const auto signing = made.signing_public();
    (void)made.rotation_public();
    const auto gas = std::string(made.settling(0).view());
    std::map<std::string, std::string> before[3];
    const auto keep = [&](int i) {
        for (const auto& k : made.kept()) before[i][k.file] = text_in(in / k.file);
    };
    keep(0);
    REQUIRE(made.encrypt(said("the first one"), quick()));
    keep(1);
    REQUIRE(made.encrypt(said("the second one"), quick()));
    keep(2);
    REQUIRE(before[0].size() == 4);
    // Files are replaced one by one: every mixture of before and after is what a crash may leave.
    for (int from : {0, 1})
        for (unsigned mixture = 0; mixture < 16; ++mixture) {
            CAPTURE(from);
            CAPTURE(mixture);
            unsigned bit = 0;
            for (const auto& [file, text] : before[from]) put(in / file, mixture >> bit++ & 1 ? before[from + 1][file] : text);
            const std::string fresh = from == 0 ? "the first one" : "the second one";
            const auto done = keyring(in, from == 0 ? passphrase_source{} : by("the first one")).encrypt(said(fresh), quick());
            REQUIRE(done);
            CHECK(*done == static_cast<std::size_t>(4 - __builtin_popcount(mixture)));
            const keyring after(in, by(fresh));
            CHECK(crypto::address_of(after.wallet()).value() == address);
            CHECK(after.signing_public() == signing);
            CHECK(after.settling(0).view() == gas);
        }
}

TEST_CASE("with a passphrase configured keys are made encrypted; what was there before stays readable as it is") {
    const directory home;
    const auto in = home / "keys";
    const auto signing = keyring(in).signing_public();
    const keyring keys(in, by("in a file", true));
    const auto address = crypto::address_of(keys.wallet()).value();
    CHECK(is_locked(text_in(in / "wallet.key")));
    CHECK(keys.signing_public() == signing);
    CHECK_FALSE(is_locked(text_in(in / "signing.key")));
    CHECK(crypto::address_of(keyring(in, by("in a file")).wallet()).value() == address);
    // The next signing key, too: it is put in force as it is.
    const auto next = keys.prepare_next_signing();
    CHECK(is_locked(text_in(in / "signing.next")));
    keys.put_next_in_force();
    CHECK(keyring(in, by("in a file")).signing_public() == next);
    CHECK(keyring(in, by("in a file")).retired() == std::vector{signing});
}

TEST_CASE("a wallet's key is put where there is none, and over nothing") {
    const directory home;
    const auto in = home / "keys";
    const keyring keys(in);
    CHECK_FALSE(keys.has_wallet());
    CHECK(keys.put_wallet(crypto::secret(std::string(32, '\0'))).error().code == "bad_key");
    CHECK_FALSE(keys.has_wallet());
    CHECK(keys.put_wallet(crypto::secret(key_one())).value() == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    CHECK(keys.put_wallet(crypto::generate(crypto::curve::k256)).error().code == "wallet_exists");
    CHECK(keyring(in).wallet_address() == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    // One whose address was changed by hand is not taken for another's: it does not open.
    REQUIRE(keys.encrypt(said("passphrase")));
    auto text = text_in(in / "wallet.key");
    const std::string other = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF";
    put(in / "wallet.key", text.replace(text.find("0x"), other.size(), other));
    CHECK(code_of([&] { (void)keyring(in, by("passphrase")).wallet(); }) == "wrong_passphrase");
}

// The Web3 Secret Storage Definition's two vectors: passphrase "testpassword".
constexpr auto of_pbkdf2 = R"({"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
  "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
  "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
  "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3})";
constexpr auto of_scrypt = R"({"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
  "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
  "kdfparams":{"dklen":32,"n":262144,"r":1,"p":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
  "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3})";

TEST_CASE("keystores of the published vectors are read") {
    for (const auto* text : {of_pbkdf2, of_scrypt}) {
        const auto k = read_keystore(text);
        REQUIRE_MESSAGE(k, k.error().text);
        CHECK(to_hex(open_keystore(*k, said("testpassword")).value().view()) == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d");
    }
    CHECK(open_keystore(read_keystore(of_pbkdf2).value(), said("testpassworD")).error().code == "wrong_passphrase");
    auto of_another = read_keystore(of_pbkdf2).value();
    of_another.address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
    CHECK(open_keystore(of_another, said("testpassword")).error().code == "bad_keystore");
    of_another.address = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";
    CHECK(open_keystore(of_another, said("testpassword")));
}

TEST_CASE("a keystore that would cost too much, or is none, is refused unopened") {
    const auto with = [](std::string text, const std::string& what, const std::string& instead) {
        const auto at = text.find(what);
        REQUIRE(at != std::string::npos);
        return read_keystore(text.replace(at, what.size(), instead));
    };
    for (const auto* n : {"8388608", "1152921504606846976"}) CHECK(with(of_scrypt, "262144", n).error().code == "keystore_too_dear");
    CHECK(with(of_scrypt, "\"r\":1", "\"r\":32").error().code == "keystore_too_dear"); // 1 GiB
    CHECK(with(of_scrypt, "\"p\":8", "\"p\":1025").error().code == "keystore_too_dear");
    CHECK(with(of_pbkdf2, "262144", "10000001").error().code == "keystore_too_dear");
    CHECK(with(of_scrypt, "262144", "262143").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "262144", "0").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "262144", "-2").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "aes-128-ctr", "aes-256-ctr").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "\"scrypt\"", "\"md5\"").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "\"version\":3", "\"version\":1").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "83dbcc", "3dbcc").error().code == "bad_keystore");
    CHECK(with(of_scrypt, "\"dklen\":32", "\"dklen\":16").error().code == "bad_keystore");
    CHECK(read_keystore("{}").error().code == "bad_keystore");
    CHECK(read_keystore("nonsense").error().code == "bad_keystore");
    CHECK(read_keystore("{\"version\":3,\"crypto\":[]}").error().code == "bad_keystore");
}

} // TEST_SUITE
