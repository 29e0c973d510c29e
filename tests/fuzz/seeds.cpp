// Writes a small corpus, made from tests/data, into DIRECTORY/TARGET/.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <souk/messages/attest.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>
#include <souk/messages/rbac.hpp>
#include <souk/messages/seal.hpp>

using namespace souk;
namespace fs = std::filesystem;

namespace {

fs::path out;

void seed(const char* target, const std::string& bytes) {
    const auto folder = out / target;
    fs::create_directories(folder);
    std::ofstream(folder / to_hex(crypto::sha256(bytes)).substr(0, 16), std::ios::binary) << bytes;
}

std::string read(const fs::path& p) {
    std::ifstream in(p, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void record(const value& r) {
    const auto json = to_json(r, json_form::atproto), block = encode_dag_cbor(r);
    seed("fuzz_json", json);
    for (const char* target : {"fuzz_records", "fuzz_receipt"}) seed(target, json), seed(target, block);
    seed("fuzz_dag_cbor", block);
}

void records() {
    for (const auto& entry : fs::directory_iterator(fs::path(SOUK_TEST_DATA) / "compute-contract")) {
        const auto v = from_json(read(entry.path()), json_form::atproto).value();
        record(v.find("record") ? *v.find("record") : v);
    }
    const auto key = crypto::generate(crypto::curve::k256);
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, all_records>>([&]<class I>(I) {
        auto v = to_record(typename I::type{});
        record(v);
        if (attest(v, "did:plc:bob", "did:plc:bob", crypto::curve::k256, key)) record(v);
    });
}

void payments() {
    for (const auto& entry : fs::directory_iterator(fs::path(SOUK_TEST_DATA) / "x402")) {
        const auto vector = from_json(read(entry.path())).value();
        for (const auto& message : *vector.find("http")->as<value::list>()) {
            std::istringstream lines{std::string(message.text("raw"))};
            for (std::string line; std::getline(lines, line);) {
                const auto at = line.find(": eyJ");
                if (at == std::string::npos) continue;
                const auto header = line.substr(at + 2, line.find('\r') - at - 2);
                seed("fuzz_x402", header), seed("fuzz_x402", from_base64(header).value());
            }
        }
    }
}

void names() {
    const std::string uri = "at://did:plc:5svqtrhheairglgiiyvutzik/com.publicdomainrelay.ccba/3mlagijgoeb23";
    const std::string cid_text = "bafyreiamisq3yqgb4k3tdojmzvvzpuwj46ytwbj672zxhyxxl7t36qadz4";
    for (const std::string& s :
         {uri, cid_text, uri + '/' + cid_text, "at:/" + uri.substr(5) + '/' + cid_text,
          std::string("at%3A%2F%2F") + uri.substr(5) + '/' + cid_text, std::string("did:web:localhost%3A8080"),
          std::string("my-cool-service\nalice.bsky.social"), std::string("2026-05-09T07:42:10.123+02:00"),
          std::string("3mlagijgoeb23"), to_base58(cid_text), to_base64(uri)})
        seed("fuzz_names", s);
    const std::string ed = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGSTaESOzM+4n1WGXRl1WyZw9RMF/0M3l6cR5mCyPd6";
    seed("fuzz_ssh_key", ed + " root@guest");
    seed("fuzz_ssh_key", "command=\"sh\" " + ed);
}

void tokens() {
    const value::map claims{{"iss", "i"},           {"aud", "a"},           {"sub", "s"},
                            {"iat", 1'800'000'000}, {"exp", 1'800'000'060}, {"lxm", "a.b.c"}};
    const auto rsa = jwt::rsa_key::generate(2048);
    seed("fuzz_jwt", jwt::sign_rs256(claims, rsa).value());
    seed("fuzz_jwt", jwt::sign_es256k(claims, crypto::generate(crypto::curve::k256)).value());
    seed("fuzz_jwt", to_json(value(claims)));
    seed("fuzz_jwt", to_json(value(value::map{{"keys", value::list{jwt::jwk_of(rsa)}}})));
}

// A server's handshake, a client's, a message and a heartbeat, as BASP frames have them: operation, flags, length, data, receivers.
void frames() {
    const auto number = [](std::uint64_t n, int bytes) {
        std::string text;
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text.push_back(static_cast<char>(n >> shift & 0xff));
        return text;
    };
    const auto frame = [&](int operation, const std::string& payload, std::uint64_t data = 0, std::uint64_t to = 1) {
        return number(static_cast<std::uint64_t>(operation), 1) + number(0, 3) + number(payload.size(), 4) + number(data, 8) + number(1, 8) + number(to, 8) + payload;
    };
    const auto id = number(0x0000000023a8f0b4, 8) + number(1, 4) + std::string(20, 'h');
    for (const char cut : {'\x00', '\x01', '\x10', '\x41'})
        for (const auto& s : {frame(0, id + number(0, 4), 3), frame(1, id, 3), frame(0, id + number(0, 4), 3) + frame(2, std::string(24, '\0')), frame(6, "")}) seed("fuzz_frames", cut + s);
}

void configurations() {
    seed("fuzz_config", "[node]\nname = \"bob\"\nroles = [\"bidder\", \"launcher\"]\n[door]\nlisten = \"127.0.0.1:8443\"\nurl = \"https://bob.example\"\n"
                        "[launcher]\nbackend = \"qemu\"\ncpus = 2\nmemory = \"2G\"\n[bidder]\ncost = \"0.06\"\nslice = 600\n");
    seed("fuzz_config", "[cluster]\nlisten = \"127.0.0.1:0\"\npeers = { bob = \"127.0.0.1:7000\" }\nallowed = [\"alice\"]\n");
}

void permissions() {
    const auto r = rbac_for({"i", "a", "s", "did:plc:alice", "com.fedproxy.sshPublicKey", {}, "role"}, "2026-05-09T07:42:10.123Z");
    const auto& schema = r.policies.begin()->second.find("schemas")->as<value::map>()->begin()->second;
    const std::string rest =
        "\n{\"repo\":\"did:plc:alice\",\"collection\":\"com.fedproxy.sshPublicKey\",\"record\":{}}\n/xrpc/"
        "com.atproto.repo.createRecord";
    seed("fuzz_rbac", to_json(to_record(r)) + rest);
    seed("fuzz_rbac", to_json(schema) + "\n{\"capability\":\"create\",\"body\":{}}\n/xrpc/x");
    seed("fuzz_rbac", "{\"items\":{\"enum\":[1]},\"type\":[\"array\"]}\n[1]\nactx:{actx}:{did-plc-key}:{role}");
}

void entries() {
    seed("fuzz_described", encode_described(access_details{"bafyaccept", "m", "127.0.0.1", 22, "root", "k"}));
    const value opened = value::map{{"is", "opened"}, {"at", 1}, {"count", 2}},
                closed = value::map{{"is", "closed"}, {"why", "x"}, {"tally", value::map{{"a", 1}}}};
    seed("fuzz_described", encode_dag_cbor(value::map{{"events", value::list{opened, closed}},
                                                      {"link", cid::of_raw("")},
                                                      {"any", null_t{}},
                                                      {"raw", octets{"x"}},
                                                      {"sure", true}}));
    seed("fuzz_receipt", encode_described(access_details{"bafyaccept", "m", "127.0.0.1", 22, "root", "k"}));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::cerr << "usage: fuzz_seeds DIRECTORY\n", 2;
    out = argv[1];
    records(), payments(), names(), tokens(), permissions(), frames(), configurations(), entries();
}
