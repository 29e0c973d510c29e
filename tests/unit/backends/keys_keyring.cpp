#include "loopback.hpp"

#include <fstream>
#include <thread>

#include <sys/stat.h>

#include <souk/backends/keys/keyring.hpp>

using namespace souk;
using namespace loopback;

namespace {
std::string run(const std::string& command) {
    std::string out;
    FILE* pipe = ::popen(command.c_str(), "r");
    for (int c; pipe && (c = ::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    return pipe && ::pclose(pipe) == 0 ? out : "failed: " + out;
}
} // namespace

TEST_SUITE("keyring") {

TEST_CASE("keys are made at first use, are their owner's alone, and stay") {
    const directory home;
    const keyring first(home / "keys");
    CHECK(std::filesystem::is_empty(home / "keys"));
    const auto signing = first.signing_public(), rotation = first.rotation_public();
    const auto address = first.wallet_address();
    const auto sealed = crypto::seal(first.seal().public32, "for this node").value();
    const auto pem = first.issuer().pem;
    const auto line = first.ssh_public();
    CHECK_FALSE(signing == rotation);
    for (const auto& file : std::filesystem::directory_iterator(home / "keys")) {
        CAPTURE(file.path());
        struct stat is{};
        REQUIRE(::stat(file.path().c_str(), &is) == 0);
        CHECK((is.st_mode & 0777) == 0600);
    }
    const keyring again(home / "keys");
    CHECK(again.signing_public() == signing);
    CHECK(again.rotation_public() == rotation);
    CHECK(again.wallet_address() == address);
    CHECK(crypto::address_of(again.wallet()).value() == address);
    CHECK(crypto::unseal(again.seal().public32, again.seal().private32, sealed).value() == "for this node");
    CHECK(again.issuer().pem == pem);
    CHECK(again.ssh_public() == line);
    const auto signature = crypto::sign(crypto::curve::k256, again.signing(), "a record").value();
    CHECK(crypto::verify(signing, "a record", signature));
}

TEST_CASE("another signing key is made ahead, put in force once, and the one before it is remembered") {
    const directory home;
    const keyring now(home / "keys");
    const auto first = now.signing_public();
    CHECK_FALSE(now.next_signing());
    CHECK_THROWS(now.put_next_in_force());
    CHECK(now.retired().empty());
    CHECK(now.signing_public() == first);
    const auto second = now.prepare_next_signing();
    CHECK(now.prepare_next_signing() == second); // asked twice, it is one
    CHECK(now.next_signing().value() == second);
    CHECK_FALSE(second == first);
    CHECK(keyring(home / "keys").signing_public() == first);
    now.put_next_in_force();
    CHECK(now.signing_public() == first); // for who opens it from now on
    CHECK_FALSE(now.next_signing());
    CHECK(keyring(home / "keys").signing_public() == second);
    CHECK(now.retired() == std::vector{first});
    // A list that was written when the new key was not yet in place names the one in force: it is listed once.
    std::ofstream(home / "keys" / "retired") << second.did_key() << '\n' << first.did_key() << '\n';
    const keyring later(home / "keys");
    std::vector<crypto::public_key> all{second, first};
    for (int i = 0; i < 6; ++i) {
        all.insert(all.begin(), later.prepare_next_signing());
        later.put_next_in_force();
    }
    CHECK(later.retired() == std::vector(all.begin() + 1, all.begin() + 6)); // the five before the last
    for (const auto& file : std::filesystem::directory_iterator(home / "keys")) {
        struct stat is{};
        REQUIRE(::stat(file.path().c_str(), &is) == 0);
        CHECK((is.st_mode & 0777) == 0600);
    }
    later.forget_retired();
    CHECK(later.retired().empty());
    std::ofstream(home / "keys" / "retired") << "did:key:zNone\n";
    std::filesystem::permissions(home / "keys" / "retired", std::filesystem::perms(0600));
    CHECK_THROWS((void)later.retired());
}

TEST_CASE("OpenSSH reads the key to machines") {
    const directory home;
    const keyring keys(home / "keys");
    CHECK(run("ssh-keygen -y -P '' -f " + keys.ssh_private().string()) == keys.ssh_public() + "\n");
    CHECK(run("ssh-keygen -l -f " + keys.ssh_private().string()).starts_with("256 SHA256:"));
}

TEST_CASE("a key that others may read is not used") {
    const directory home;
    { const auto made = keyring(home / "keys").wallet_address(); }
    std::filesystem::permissions(home / "keys" / "wallet.key", std::filesystem::perms::group_read,
                                 std::filesystem::perm_options::add);
    CHECK_THROWS_WITH_AS(keyring(home / "keys").wallet(), doctest::Contains("others may read it"), std::runtime_error);
    CHECK_NOTHROW(keyring(home / "keys").signing()); // the others are as good as they were
    std::filesystem::permissions(home / "keys", std::filesystem::perms::others_exec, std::filesystem::perm_options::add);
    CHECK_THROWS_WITH_AS(keyring(home / "keys"), doctest::Contains("others may read it"), std::runtime_error);
}

TEST_CASE("a damaged, planted or linked key file is an error, never a new key") {
    const directory home;
    const auto keys = home / "keys", file = keys / "wallet.key";
    { const auto made = keyring(keys).wallet_address(); }
    for (const auto* text : {"", "zz\n", "00\n", "0000000000000000000000000000000000000000000000000000000000000000\n"}) {
        CAPTURE(text);
        { std::ofstream(file, std::ios::trunc) << text; }
        CHECK_THROWS_AS(keyring(keys).wallet(), std::runtime_error);
    }
    std::filesystem::rename(file, home / "elsewhere");
    std::filesystem::create_symlink(home / "elsewhere", file);
    CHECK_THROWS_AS(keyring(keys).wallet(), std::runtime_error);
    { std::ofstream(home / "plain"); }
    CHECK_THROWS_AS(keyring(home / "plain"), std::runtime_error);
}

TEST_CASE("two that start at once have one key") {
    const directory home;
    std::string addresses[4];
    std::vector<std::thread> all;
    for (auto& one : addresses) all.emplace_back([&] { one = keyring(home / "keys").wallet_address(); });
    for (auto& one : all) one.join();
    for (const auto& one : addresses) CHECK(one == addresses[0]);
}

} // TEST_SUITE
