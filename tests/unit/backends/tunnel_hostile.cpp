// A client that speaks SSH well enough to log in, and then announces what no honest client would. Just RFC 4253, 4252, 4254 with
// curve25519-sha256, aes128-gcm@openssh.com and an Ed25519 key; it does not even look at the server's signature.
#include "tunnel_support.hpp"

#include <future>
#include <optional>

#include <openssl/evp.h>

#include <souk/backends/tunnel/engine.hpp>
#include <souk/messages/crypto.hpp>

using namespace souk;
using namespace souk::testing;
using namespace souk::tunnel;

namespace {

std::string u32(std::uint32_t n) {
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}
std::string str(const std::string& s) { return u32(static_cast<std::uint32_t>(s.size())) + s; }
std::uint32_t number_at(const std::string& s, std::size_t at) {
    std::uint32_t n = 0;
    for (std::size_t i = 0; i < 4; ++i) n = n << 8 | static_cast<unsigned char>(s.at(at + i));
    return n;
}
std::string string_at(const std::string& s, std::size_t& at) {
    const auto n = number_at(s, at);
    auto out = s.substr(at + 4, n);
    at += 4 + n;
    return out;
}
std::string positive(std::string bytes) { // as a number: no leading zeros, but one where the sign bit is set
    bytes.erase(0, std::min(bytes.find_first_not_of('\0'), bytes.size()));
    if (!bytes.empty() && (bytes[0] & 0x80)) bytes.insert(0, 1, '\0');
    return str(bytes);
}

struct key_pair {
    EVP_PKEY* key = nullptr;
    explicit key_pair(int type) {
        auto* c = EVP_PKEY_CTX_new_id(type, nullptr);
        EVP_PKEY_keygen_init(c);
        EVP_PKEY_keygen(c, &key);
        EVP_PKEY_CTX_free(c);
    }
    ~key_pair() { EVP_PKEY_free(key); }
    std::string open() const {
        std::string raw(32, '\0');
        std::size_t n = raw.size();
        EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(raw.data()), &n);
        return raw;
    }
    std::string agree(const std::string& other) const {
        auto* peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, reinterpret_cast<const unsigned char*>(other.data()), other.size());
        auto* c = EVP_PKEY_CTX_new(key, nullptr);
        std::string secret(32, '\0');
        std::size_t n = secret.size();
        EVP_PKEY_derive_init(c);
        EVP_PKEY_derive_set_peer(c, peer);
        EVP_PKEY_derive(c, reinterpret_cast<unsigned char*>(secret.data()), &n);
        EVP_PKEY_CTX_free(c);
        EVP_PKEY_free(peer);
        return secret;
    }
    std::string sign(const std::string& text) const {
        auto* c = EVP_MD_CTX_new();
        std::string signature(64, '\0');
        std::size_t n = signature.size();
        EVP_DigestSignInit(c, nullptr, nullptr, nullptr, key);
        EVP_DigestSign(c, reinterpret_cast<unsigned char*>(signature.data()), &n, reinterpret_cast<const unsigned char*>(text.data()), text.size());
        EVP_MD_CTX_free(c);
        return signature;
    }
};

struct direction { // aes128-gcm@openssh.com: the length is authenticated, the rest encrypted, the counter is in the nonce
    std::string key, nonce;
    std::string next_nonce() {
        const auto now = nonce;
        for (std::size_t i = 12; i-- > 4 && ++nonce[i] == 0;) {}
        return now;
    }
};

std::string gcm(bool encrypt, direction& d, const std::string& length, std::string data, std::string& tag) {
    auto* c = EVP_CIPHER_CTX_new();
    const auto nonce = d.next_nonce();
    const auto bytes = [](std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); };
    int n = 0;
    EVP_CipherInit_ex(c, EVP_aes_128_gcm(), nullptr, bytes(d.key), reinterpret_cast<const unsigned char*>(nonce.data()), encrypt);
    EVP_CipherUpdate(c, nullptr, &n, reinterpret_cast<const unsigned char*>(length.data()), 4);
    EVP_CipherUpdate(c, bytes(data), &n, bytes(data), static_cast<int>(data.size()));
    if (!encrypt) EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, bytes(tag));
    const bool good = EVP_CipherFinal_ex(c, bytes(data) + n, &n) == 1;
    if (encrypt) tag.resize(16), EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, bytes(tag));
    EVP_CIPHER_CTX_free(c);
    return good ? data : std::string();
}

class hostile_client {
public:
    explicit hostile_client(std::uint16_t port) : wire_(connect_to(port)) {
        const std::string mine = "SSH-2.0-hostile";
        wire_.put(mine + "\r\n");
        auto theirs = wire_.until("\n");
        theirs.erase(theirs.find_last_not_of("\r\n") + 1);
        std::string hello = std::string(1, 20) + std::string(16, 'c');
        for (const std::string list : {"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""})
            hello += str(list);
        hello += std::string(5, '\0');
        send(hello);
        const auto answer = receive();
        const key_pair mine_now(EVP_PKEY_X25519);
        send(std::string(1, 30) + str(mine_now.open()));
        const auto reply = receive();
        std::size_t at = 1;
        const auto host_key = string_at(reply, at), theirs_now = string_at(reply, at);
        const auto shared = positive(mine_now.agree(theirs_now));
        session_ = crypto::sha256(str(mine) + str(theirs) + str(hello) + str(answer) + str(host_key) + str(mine_now.open()) + str(theirs_now) + shared);
        send(std::string(1, 21));
        REQUIRE(receive() == std::string(1, 21));
        const auto derive = [&](char what, std::size_t n) { return crypto::sha256(shared + session_ + what + session_).substr(0, n); };
        out_ = {derive('C', 16), derive('A', 12)};
        in_ = {derive('D', 16), derive('B', 12)};
        secret_ = true;
    }

    std::string key_blob() const { return str("ssh-ed25519") + str(key_.open()); }

    bool log_in(const std::string& user) {
        send(std::string(1, 5) + str("ssh-userauth"));
        if (receive_of(6).empty()) return false;
        const auto request = std::string(1, 50) + str(user) + str("ssh-connection") + str("publickey") + '\1' + str("ssh-ed25519") + str(key_blob());
        send(request + str(str("ssh-ed25519") + str(key_.sign(str(session_) + request))));
        return !receive_of(52).empty();
    }
    bool forward(const std::string& service) {
        send(std::string(1, 80) + str("tcpip-forward") + '\1' + str(service) + u32(80));
        return !receive_of(81).empty();
    }
    // Waits for a visitor's channel and accepts it with this window and largest packet.
    void accept(std::uint32_t window, std::uint32_t largest) {
        const auto open = receive_of(90);
        REQUIRE(!open.empty());
        std::size_t at = 1;
        string_at(open, at);
        channel_ = number_at(open, at);
        send(std::string(1, 91) + u32(channel_) + u32(0) + u32(window) + u32(largest));
    }
    void say(const std::string& data) { send(std::string(1, 94) + u32(channel_) + str(data)); }
    bool closed() { return wire_.ended(); }
    void send(const std::string& payload) {
        const std::size_t block = secret_ ? 16 : 8, before = secret_ ? 1 : 5;
        auto padding = block - (payload.size() + before) % block;
        if (padding < 4) padding += block;
        const auto packet = static_cast<char>(padding) + payload + std::string(padding, '\0');
        const auto length = u32(static_cast<std::uint32_t>(packet.size()));
        if (!secret_) return void(wire_.put(length + packet));
        std::string tag;
        const auto hidden = gcm(true, out_, length, packet, tag);
        wire_.put(length + hidden + tag);
    }
    std::string receive() { // "" at the end
        const auto length = wire_.exactly(4);
        if (length.empty()) return {};
        auto packet = wire_.exactly(number_at(length, 0));
        if (secret_) {
            auto tag = wire_.exactly(16);
            packet = gcm(false, in_, length, packet, tag);
        }
        if (packet.empty()) return {};
        return packet.substr(1, packet.size() - 1 - static_cast<unsigned char>(packet[0]));
    }
    std::string receive_of(char type) { // passing over what was not asked for
        for (std::string p; !(p = receive()).empty();) {
            if (p[0] == type) return p;
            if (p[0] == 51 || p[0] == 82 || p[0] == 1) return {};
        }
        return {};
    }

private:
    wire wire_;
    key_pair key_{EVP_PKEY_ED25519};
    std::string session_;
    direction out_, in_;
    std::uint32_t channel_ = 0;
    bool secret_ = false;
};

struct relay_for_all { // one thread: whoever takes it takes everything
    scratch dir;
    std::optional<broker> relay;
    relay_for_all() {
        make_certificate(dir.path, "localhost");
        broker_options o;
        o.host_key = dir / "host_key", o.certificate = dir / "tls.crt", o.key = dir / "tls.key", o.domain = "localhost", o.threads = 1;
        o.limits.idle_visitor = 2s, o.limits.open = 2s;
        o.authorise = [](const std::string& user, const std::string&, const std::string&, auto answer) { answer(grant{"did:web:" + user, {"*"}}); };
        relay.emplace(std::move(o));
    }
    std::string ask(const std::string& label) {
        tls_wire w(relay->https_port());
        w.put("GET / HTTP/1.1\r\nHost: " + label + ".localhost\r\nConnection: close\r\n\r\n");
        return w.rest();
    }
};

} // namespace

TEST_CASE("a client that announces a tiny packet size loses its tunnel, and nobody else loses anything") {
    relay_for_all r;
    for (const std::uint32_t largest : {10u, 1u, 9u, 1000u}) {
        INFO(largest);
        hostile_client bad(r.relay->ssh_port());
        REQUIRE(bad.log_in("mallory.example"));
        REQUIRE(bad.forward("svc"));
        auto visit = std::async(std::launch::async, [&] { return r.ask("svc--mallory-example"); });
        bad.accept(100000, largest);
        CHECK(bad.closed());
        REQUIRE(visit.wait_for(10s) == std::future_status::ready);
        CHECK(visit.get().starts_with("HTTP/1.1 503 "));
        CHECK(r.ask("svc--mallory-example").starts_with("HTTP/1.1 404 "));
    }
    {
        INFO("0 is refused by the library itself, as if the service had refused");
        hostile_client bad(r.relay->ssh_port());
        REQUIRE(bad.log_in("mallory.example"));
        REQUIRE(bad.forward("svc"));
        auto visit = std::async(std::launch::async, [&] { return r.ask("svc--mallory-example"); });
        bad.accept(100000, 0);
        REQUIRE(visit.wait_for(10s) == std::future_status::ready);
        CHECK(visit.get().starts_with("HTTP/1.1 50"));
    }
    hostile_client good(r.relay->ssh_port()); // the same client with an honest size
    REQUIRE(good.log_in("alice.example"));
    REQUIRE(good.forward("svc"));
    auto visit = std::async(std::launch::async, [&] { return r.ask("svc--alice-example"); });
    good.accept(100000, 32768);
    const auto data = good.receive_of(94);
    CHECK(data.find("GET / HTTP/1.1\r\nHost: svc--alice-example.localhost\r\n") != std::string::npos);
    good.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    REQUIRE(visit.wait_for(10s) == std::future_status::ready);
    CHECK(visit.get().ends_with("\r\n\r\nok"));
}

TEST_CASE("a client that never takes a byte holds its visitors no longer than an idle one may stay") {
    relay_for_all r;
    hostile_client stuck(r.relay->ssh_port());
    REQUIRE(stuck.log_in("mallory.example"));
    REQUIRE(stuck.forward("svc"));
    auto visit = std::async(std::launch::async, [&] { return r.ask("svc--mallory-example"); });
    const auto begun = std::chrono::steady_clock::now();
    stuck.accept(0, 32768); // a window that never opens
    REQUIRE(visit.wait_for(10s) == std::future_status::ready);
    CHECK(visit.get().find("HTTP/1.1 200") == std::string::npos);
    CHECK(std::chrono::steady_clock::now() - begun < 6s); // 2 s and the load of the machine
    hostile_client other(r.relay->ssh_port());
    CHECK(other.log_in("alice.example"));
}

TEST_CASE("when all places are taken, the address that holds most of them gives one up, if the other holds fewer") {
    tally places(4, 3);
    for (int i = 0; i < 3; ++i) CHECK(places.enter("eve"));
    CHECK(!places.enter("eve"));
    CHECK(places.gives_way_to("bob").empty()); // there is room
    CHECK(places.enter("bob"));
    CHECK(!places.enter("carol"));
    CHECK(places.gives_way_to("carol") == "eve");
    CHECK(places.gives_way_to("eve").empty());
    places.enter_instead("carol");
    CHECK(!places.enter("dave")); // eve's has not left yet
    places.leave("eve");
    CHECK(places.gives_way_to("bob").empty()); // it would only be a swap
    CHECK(places.gives_way_to("dave") == "eve");
}

TEST_CASE("a client that asks before it has logged in is refused") {
    relay_for_all r;
    hostile_client eager(r.relay->ssh_port());
    CHECK(!eager.forward("svc"));
    CHECK(r.ask("svc--mallory-example").starts_with("HTTP/1.1 404 "));
    CHECK(r.relay->so_far().tunnels == 0);
}
