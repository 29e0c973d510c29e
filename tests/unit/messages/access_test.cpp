#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/seal.hpp>
#include <souk/messages/ssh_key.hpp>

using namespace souk;

namespace {

const std::string line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGSTaESOzM+4n1WGXRl1WyZw9RMF/0M3l6cR5mCyPd6";

std::string field(const std::string& bytes) {
    return std::string("\0\0", 2) + static_cast<char>(bytes.size() >> 8) + static_cast<char>(bytes.size()) + bytes;
}
std::string key_line(const std::string& name, const std::string& rest, const std::string& outer = {}) {
    return (outer.empty() ? name : outer) + ' ' + to_base64(field(name) + rest);
}

} // namespace

TEST_CASE("access details open for Alice, for this contract, and for nobody else") {
    const auto alice = crypto::generate_seal_pair(), eve = crypto::generate_seal_pair();
    const access_details access{"bafyaccept", "machine-1", "127.0.0.1", 2201, "root", line};
    const auto sealed = seal_access(access, crypto::seal_did_key(alice.public32)).value();
    CHECK(open_access(sealed, "bafyaccept", alice.public32, alice.private32).value() == access);
    CHECK(open_access(sealed, "bafyother", alice.public32, alice.private32).error().code == "seal_of_another_contract");
    CHECK(open_access(sealed, "bafyaccept", eve.public32, eve.private32).error().code == "cannot_open");
    CHECK(open_access(sealed.substr(1), "bafyaccept", alice.public32, alice.private32).error().code == "cannot_open");
    CHECK(open_access(std::string(70'000, 'x'), "bafyaccept", alice.public32, alice.private32).error().code == "cannot_open");
    const auto nonsense = crypto::seal(alice.public32, "not a map").value();
    CHECK(open_access(nonsense, "bafyaccept", alice.public32, alice.private32).has_error());
    CHECK(seal_access(access, "did:key:zQ3shVccyeD7zq2BSdRqcp2pozYzsGsJmc88gAy1m8SUX93LE").error().code == "bad_key");
}

TEST_CASE("a key line is a type, a key and a comment") {
    const auto key = ssh_key_line::parse(line + " root@guest one").value();
    CHECK(key.type == "ssh-ed25519");
    CHECK(key.comment == "root@guest one");
    CHECK(key.text() == line + " root@guest one");
    CHECK(ssh_key_line::parse(line).value().text() == line);
    CHECK(ssh_key_line::parse(line + " \n").value().text() == line);
    CHECK(ssh_key_line::parse(key_line("ssh-rsa", field("\1\0\1") + field(std::string(257, '\1')))).has_value());
    CHECK(ssh_key_line::parse(key_line("ecdsa-sha2-nistp256", field("nistp256") + field(std::string(65, '\4')))).has_value());
    CHECK(ssh_key_line::parse(key_line("sk-ssh-ed25519@openssh.com", field(std::string(32, 'k')) + field("ssh:"))).has_value());
}

TEST_CASE("a key line that could grant, hide or confuse is refused") {
    const auto good = field(std::string(32, 'k'));
    for (const std::string& bad : {std::string(),
                                   std::string("ssh-ed25519"),
                                   "command=\"sh\" " + line,
                                   "no-pty,permitopen=\"*\" " + line,
                                   "# " + line,
                                   line + "\n" + line,
                                   line + " a\nb",
                                   line + " a\tb\x1b[2J",
                                   line + " \xff",
                                   line + ' ' + std::string(257, 'c'),
                                   std::string(17'000, ' ') + line,
                                   "ssh-dss " + line.substr(12),
                                   line.substr(0, line.size() - 4),
                                   line + "AAAA",
                                   key_line("ssh-ed25519", good, "ssh-rsa"),
                                   key_line("ssh-ed25519", good + field("x")),
                                   key_line("ssh-ed25519", field("short")),
                                   key_line("ssh-rsa", field("\3") + field(std::string(128, '\1'))),
                                   key_line("ecdsa-sha2-nistp256", field("nistp384") + field(std::string(65, '\4'))),
                                   key_line("ssh-ed25519", ""),
                                   "ssh-ed25519 " + to_base64(std::string("\xff\xff\xff\xffssh", 7))}) {
        CAPTURE(bad.substr(0, 80));
        CHECK(ssh_key_line::parse(bad).error().code == "bad_ssh_key");
    }
}
