// Writes a small corpus, made from tests/data, into DIRECTORY/TARGET/.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <souk/backends/keys/locked_key.hpp>
#include <souk/backends/records/plc.hpp>
#include <souk/messages/attest.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/firehose.hpp>
#include <souk/messages/evm/abi.hpp>
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
    for (const char* target : {"fuzz_records", "fuzz_receipt", "fuzz_lexicon"}) seed(target, json), seed(target, block);
    seed("fuzz_dag_cbor", block);
}

void records() {
    for (const auto& entry : fs::directory_iterator(fs::path(SOUK_TEST_DATA) / "compute-contract")) {
        const auto v = from_json(read(entry.path()), json_form::atproto).value();
        record(v.find("record") ? *v.find("record") : v);
    }
    const auto key = crypto::generate(crypto::curve::k256);
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, boost::mp11::mp_append<all_records, later_records>>>([&]<class I>(I) {
        auto v = to_record(typename I::type{});
        record(v);
        if (attest(v, "did:plc:bob", "did:plc:bob", crypto::curve::k256, key)) record(v);
    });
}

void policies() {
    seed("fuzz_policy", "denounced reach=1\nvouched depth=3 decay=50 least=20\nprice at-most 0.10 per hour\nlocation country=DE region=us-west\ntier at-least hardware");
    seed("fuzz_policy", "allow did:plc:bob did:web:carol.example\ndeny did:plc:eve\nhistory honoured>=1 broken<=0\noperator depth=2\nceiling\nexpiry\nopen");
    seed("fuzz_policy", "remote did:web:e.example%3A2586 name=guild policy=at://did:plc:a/b.c.d/e cid=bafyreiccaougmp3654xsmrwjpihbsjyxzbcyvvnwhry2cci5fh2ubjtf74");
}
void schemas() {
    seed("fuzz_lexicon", "{\"lexicon\":1,\"id\":\"a.b.c\",\"defs\":{\"main\":{\"type\":\"record\",\"key\":\"tid\",\"record\":{\"type\":\"object\",\"required\":[\"x\"],\"properties\":"
                         "{\"x\":{\"type\":\"ref\",\"ref\":\"#y\"},\"u\":{\"type\":\"union\",\"refs\":[\"#z\"],\"closed\":true}}}},\"y\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"did\"}},"
                         "\"z\":{\"type\":\"object\"}}}\n{\"x\":[\"did:plc:a\"],\"u\":{\"$type\":\"a.b.c#z\"}}");
}

// One bid and one request of each generation, with what they consist of.
void dialects() {
    ccrfp wanted;
    wanted.cpus = 1, wanted.mem = "512M", wanted.disk = "10G", wanted.network = "500G", wanted.role = "r";
    ccb b;
    b.bid = {"0.06", "USDC", "hourly", true, {"https://bob.example/ccr/{at}/{cid}"}, 600};
    b.wif = wif{"i", "t", "p", "u", "r", "s"};
    const auto said = [](const std::vector<draft>& drafts) {
        std::vector<strong_ref> refs;
        value::list out;
        for (const auto& d : drafts) {
            out.push_back(filled(d, refs));
            refs.push_back({"at://did:plc:x/" + d.collection + "/k", cid_of(out.back()).text()});
        }
        std::rotate(out.begin(), out.end() - 1, out.end());
        for (const auto& bytes : {encode_dag_cbor(value(out)), to_json(value(out), json_form::atproto)}) seed("fuzz_dialect", bytes);
    };
    for (const auto d : all_dialects) {
        const std::string service = d == dialect::g4 ? "did:plc:x#y" : "";
        said(write_request(d, wanted, service).value()), said(write_bid(d, b, service).value()), said(write_accept(d, {}, service).value());
        ccr r;
        r.accept.emplace(), r.createdAt = "2026-05-09T07:42:10.123Z";
        said(write_receipt(d, r, service, value::map{}, "did:plc:x").value());
    }
}

void payments() {
    for (const auto& entry : fs::directory_iterator(fs::path(SOUK_TEST_DATA) / "x402")) {
        const auto vector = from_json(read(entry.path())).value();
        if (!vector.find("http")) continue;
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

void chains() {
    const std::string hash = "0x" + std::string(64, '1'), token = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
    const auto log = "{\"address\":\"" + token + "\",\"topics\":[\"" + hash + "\"],\"data\":\"0x01\",\"transactionHash\":\"" + hash + "\",\"blockNumber\":\"0x7\"}";
    for (const std::string& s :
         {std::string("\"0x1f\""), "{\"number\":\"0x7\",\"timestamp\":\"0x6553f100\",\"baseFeePerGas\":\"0x7\",\"hash\":\"" + hash + "\"}", "[" + log + "]",
          "{\"transactionHash\":\"" + hash + "\",\"blockHash\":\"" + hash + "\",\"blockNumber\":\"0x7\",\"gasUsed\":\"0x5208\",\"status\":\"0x1\",\"logs\":[" + log + "]}",
          std::string("{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":3,\"message\":\"execution reverted\",\"data\":\"0x08c379a0\"}}"),
          evm::abi::call("Error(string)", {evm::abi::bytes("no money")}),
          evm::abi::encode({evm::abi::fixed(*evm::address_word(token)), evm::abi::bytes("deploy"), evm::abi::bytes("signature")}) + [] {
              std::string mark;
              while (mark.size() < 32) mark += "\x64\x92";
              return mark;
          }()})
        seed("fuzz_evm", s);
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
    seed("fuzz_dpop", R"(Bearer realm="x", DPoP algs="ES256", error="use_dpop_nonce", error_description="a \"new\" one")");
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

// A repository by the key that the targets know, its trees as their own targets name them, and each kind of frame.
void repositories() {
    const crypto::secret key(std::string(32, '\1'));
    block_map blocks;
    mst tree;
    repo_commit head{"did:plc:alice", {}, {}, {}, {}};
    const auto commit = [&](std::uint64_t at) {
        const auto written = tree.write(&blocks);
        for (const auto& [id, bytes] : written.added) blocks.put(id, bytes), seed("fuzz_mst", bytes);
        head.rev = to_tid(at, 1), head.data = written.root;
        head = sign_commit(std::move(head), crypto::curve::k256, key).value();
        const auto bytes = encode_commit(head);
        auto car = car_header({cid::of_dag_cbor(bytes)});
        append_car_block(car, cid::of_dag_cbor(bytes), bytes);
        for (const auto& [id, b] : blocks) append_car_block(car, id, b);
        seed("fuzz_commit", bytes), seed("fuzz_commit", car), seed("fuzz_car", '\x10' + car);
    };
    const auto put = [&](const std::string& path, const value& v, std::vector<firehose::op>& ops) {
        blocks.put(cid_of(v), encode_dag_cbor(v));
        const auto was = tree.put(path, cid_of(v)).value();
        ops.push_back({was ? firehose::op_action::update : firehose::op_action::create, path, cid_of(v), was.value_or(cid())});
    };
    std::vector<firehose::op> ops;
    commit(1);
    for (std::uint64_t n = 0; n < 12; ++n) put("app.bsky.feed.post/" + to_tid(n * 977, 1), value::map{{"n", n}}, ops);
    commit(2);
    const auto before = head;
    ops.clear();
    put("app.bsky.feed.post/" + to_tid(977, 1), value::map{{"n", "changed"}}, ops), put("com.example.a/self", value::map{}, ops);
    const auto gone = "app.bsky.feed.post/" + to_tid(2 * 977, 1);
    ops.push_back({firehose::op_action::remove, gone, {}, tree.remove(gone).value().value()});
    commit(3);
    const std::string now = "2026-05-09T07:42:10.123Z";
    const auto event = firehose::announce(head, before.rev, before.data, ops, blocks, now).value();
    const std::initializer_list<firehose::event> each{event,
                                                      firehose::announce_state(head, now),
                                                      firehose::identity_event{1, "did:plc:alice", now, "a.b"},
                                                      firehose::account_event{2, "did:plc:alice", now, false, "deleted"},
                                                      firehose::info_event{"OutdatedCursor", "x"},
                                                      firehose::error_event{"FutureCursor", "x"},
                                                      firehose::unknown_event{1, "#later", 3}};
    for (const auto& e : each) seed("fuzz_firehose", firehose::encode(e).value());

    // Nodes that name each other by number, the root first: heights 1 and 0 of known keys.
    const auto nth = [](char n) { return cid::from_bytes(std::string("\x01\x71\x12\x20", 4) + n + std::string(31, '\0')).value(); };
    const auto key_of = [](const std::string& middle) { return "com.example.record/3jqfcqzm" + middle + "2j"; };
    const auto part = [](const mst_node& n) {
        const auto bytes = encode_mst_node(n);
        return std::string{static_cast<char>(bytes.size() >> 8), static_cast<char>(bytes.size() & 0xff)} + bytes;
    };
    mst_node root, left, right;
    root.left = {nth(1), {}}, root.entries = {{key_of("3fs"), nth(9), {nth(2), {}}}};
    left.entries = {{key_of("3fo"), nth(9), {}}, {key_of("3fp"), nth(9), {}}};
    right.entries = {{key_of("3ft"), nth(9), {}}};
    seed("fuzz_mst", part(root) + part(left) + part(right));
    seed("fuzz_mst", part(root) + part(right) + part(left));
    seed("fuzz_mst", part(left));
}

void identities() {
    seed("fuzz_plc", read(fs::path(SOUK_TEST_DATA) / "plc/reference-server-log.json"));
    const auto low = crypto::generate(crypto::curve::k256), top = crypto::generate(crypto::curve::k256);
    const auto open = [](const crypto::secret& key) { return crypto::public_of(crypto::curve::k256, key).value(); };
    const auto genesis = plc::genesis({open(low), open(low), crypto::seal_did_key(std::string(32, '\7')), "alice.test", "https://alice.example", {open(top).did_key()}, {}}, low);
    const auto did = plc::did_of(genesis);
    const auto stolen = plc::change(genesis, {{"alsoKnownAs", value::list{"at://eve.test"}}}, low).value(), back = plc::tombstone(genesis, top).value();
    value::list audit;
    for (const auto& operation : {genesis, stolen, back})
        audit.push_back(value::map{{"did", did}, {"operation", operation}, {"cid", cid_of(operation).text()}, {"nullified", operation == stolen}, {"createdAt", "2026-01-01T00:00:00.000Z"}});
    for (const value& log : {value(value::list{genesis}), value(value::list{genesis, stolen}), value(audit)}) seed("fuzz_plc", to_json(log)), seed("fuzz_plc", encode_dag_cbor(log));
    seed("fuzz_did", to_json(to_json_document(plc::verify_log(did, value::list{genesis}).value())));
    for (const char* text : {"a.example%3A8443:people:alice", "localhost%3A8080", "alice.test", "A.b.onion", "did=did:web:a.example\ndid=did:plc:x", "https://a.example:8/y", "/z"}) seed("fuzz_did", text);
    seed("fuzz_did", open(low).did_key()), seed("fuzz_did", crypto::seal_did_key(std::string(32, '\7')));
}

void key_files() {
    const crypto::secret key(std::string(32, '\1'));
    auto cheap = stretching::fresh();
    cheap.memory_kib = stretching::least_memory_kib, cheap.passes = 1;
    seed("fuzz_key_file", lock_key(key, cheap, key).value());
    const std::string sixteen(32, '6'), whole(64, '3');
    const auto with = [&](const std::string& kdf, value::map how) {
        how.emplace("dklen", 32), how.emplace("salt", whole);
        value::map crypt{{"cipher", "aes-128-ctr"}, {"ciphertext", whole}, {"mac", whole}, {"cipherparams", value::map{{"iv", sixteen}}}, {"kdf", kdf}, {"kdfparams", std::move(how)}};
        seed("fuzz_key_file", to_json(value::map{{"version", 3}, {"id", "x"}, {"crypto", std::move(crypt)}}));
    };
    with("scrypt", {{"n", 2}, {"r", 1}, {"p", 1}}), with("pbkdf2", {{"c", 1}, {"prf", "hmac-sha256"}});
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::cerr << "usage: fuzz_seeds DIRECTORY\n", 2;
    out = argv[1];
    records(), dialects(), schemas(), payments(), chains(), names(), tokens(), permissions(), frames(), configurations(), policies(), entries(), repositories(), identities(), key_files();
}
