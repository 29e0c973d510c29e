// Handles: by DNS, by their host, both ways; and the lookup of TXT records itself, against a name server on loopback.
#include "identity_support.hpp"

#include <souk/backends/records/dns.hpp>
#include <souk/backends/records/handle_cache.hpp>
#include <souk/backends/records/resolver_names.hpp>

using namespace souk;
using namespace loopback;
using namespace identities;

namespace {

struct fake_dns final : txt_lookup {
    std::map<std::string, result<std::vector<std::string>>> answers;
    std::vector<std::string> asked;
    void txt(const std::string& name, teller tell) override {
        asked.push_back(name);
        const auto at = answers.find(name);
        tell(at == answers.end() ? result<std::vector<std::string>>(std::vector<std::string>()) : at->second);
    }
};

struct naming {
    resolving r;
    fake_dns dns;
    const person alice, bob;
    std::unique_ptr<identity_resolver> who;
    naming() {
        r.net.trust.hosts.erase("bob.example");
        claim("did:web:alice.example", alice, {"at://alice.test", "at://Alice.Example"});
        claim("did:web:bob.example", bob, {"at://alice.test"});
        again({});
    }
    void claim(const std::string& did, const person& of, value::list names) {
        auto d = *to_json_document(document_for(did, of)).as<value::map>();
        d["alsoKnownAs"] = std::move(names);
        r.net.serve(did.substr(8) + "/.well-known/did.json", to_json(d));
    }
    void again(std::set<std::string> local, bool development = true) {
        identity_resolver::options o;
        o.now = r.clock(), o.names = &dns, o.local = std::move(local), o.development = development;
        who = std::make_unique<identity_resolver>(r.client, std::move(o));
    }
    result<did_document> handle(const std::string& name) { return resolving::handle(*who, name); }
};

// A name server on loopback that answers one question at a time with what it was given.
class name_server {
public:
    explicit name_server(std::function<std::string(const std::string& question)> answer) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), answer_(std::move(answer)) {
        sockaddr_in own{};
        own.sin_family = AF_INET, own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof own;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 || ::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) != 0) throw std::runtime_error("no name server");
        where_ = "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
        thread_ = std::thread([this] { serve(); });
    }
    ~name_server() {
        stopped_ = true;
        thread_.join();
        ::close(fd_);
    }
    const std::string& where() const { return where_; }

private:
    void serve() {
        char part[1500];
        while (!stopped_) {
            pollfd wait{fd_, POLLIN, 0};
            if (::poll(&wait, 1, 50) <= 0) continue;
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const auto n = ::recvfrom(fd_, part, sizeof part, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (n <= 0) continue;
            const auto said = answer_(std::string(part, static_cast<std::size_t>(n)));
            ::sendto(fd_, said.data(), said.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
        }
    }
    int fd_;
    std::function<std::string(const std::string&)> answer_;
    std::string where_;
    std::atomic<bool> stopped_{false};
    std::thread thread_;
};

// The answer to a question: its header and name again, then these records of TXT, each of pieces.
std::string dns_answer(const std::string& question, const std::vector<std::vector<std::string>>& records, char code = 0, bool cut = false) {
    auto end = question.find('\0', 12) + 5; // after the name: type and class
    std::string out = question.substr(0, end);
    out[2] = '\x85', out[3] = code;
    out[6] = '\0', out[7] = static_cast<char>(records.size());
    out[8] = out[9] = out[10] = out[11] = '\0';
    for (const auto& pieces : records) {
        std::string data;
        for (const auto& piece : pieces) (data += static_cast<char>(piece.size())) += piece;
        if (cut) data.resize(data.size() - 1);
        out += std::string("\xc0\x0c\0\x10\0\x01\0\0\0\x3c", 10);
        out += static_cast<char>(data.size() >> 8);
        out += static_cast<char>(data.size() & 0xff);
        out += data;
    }
    return out;
}
result<std::vector<std::string>> lookup(txt_lookup& dns, const std::string& name) {
    inbox<result<std::vector<std::string>>> told;
    dns.txt(name, [&](auto r) { told.put(std::move(r)); });
    return told.take();
}

} // namespace

TEST_SUITE("handles") {

TEST_CASE("a handle counts when the DID claims it in turn") {
    naming n;
    n.again({"alice.example", "bob.example", "plc.example"});
    n.r.net.serve("alice.example/.well-known/atproto-did", "did:web:alice.example\n");
    n.r.net.serve("bob.example/.well-known/atproto-did", "did:web:alice.example");
    CHECK(n.handle("alice.example")->did == "did:web:alice.example"); // in whatever case the document has it
    CHECK(n.handle("Alice.Example"));
    CHECK(code_of(n.handle("bob.example")) == "handle_not_claimed");
    CHECK(code_of(n.handle("plc.example")) == "did_unresolved");
    CHECK(code_of(n.handle("not a handle")) == "bad_handle");
    CHECK(n.dns.asked.empty()); // the operator answers for these names
    n.r.ms += 5'000;
    n.r.net.serve("plc.example/.well-known/atproto-did", "<html>");
    CHECK(code_of(n.handle("plc.example")) == "did_unresolved");
}

TEST_CASE("DNS has the say over the host, the document over both") {
    naming n;
    n.claim("did:web:alice.example", n.alice, {"at://name.souk.dev"});
    n.claim("did:web:bob.example", n.bob, {"at://name.souk.dev"});
    auto& texts = n.dns.answers["_atproto.name.souk.dev"];
    texts = std::vector<std::string>{"v=spf1 -all", "did=did:web:alice.example", "did=nonsense"};
    CHECK(n.handle("name.souk.dev")->did == "did:web:alice.example");
    CHECK(n.handle("NAME.souk.dev")->did == "did:web:alice.example");
    n.r.ms += 301'000;
    texts = std::vector<std::string>{"did=did:web:alice.example", "did=did:web:alice.example"};
    CHECK(n.handle("name.souk.dev"));
    n.r.ms += 301'000;
    texts = std::vector<std::string>{"did=did:web:alice.example", "did=did:web:bob.example"};
    CHECK(code_of(n.handle("name.souk.dev")) == "handle_ambiguous");
    n.claim("did:web:alice.example", n.alice, {"at://other.souk.dev"});
    n.r.ms += 301'000;
    texts = std::vector<std::string>{"did=did:web:alice.example"};
    CHECK(code_of(n.handle("name.souk.dev")) == "handle_not_claimed");
    CHECK(n.dns.asked.front() == "_atproto.name.souk.dev");
}

TEST_CASE("where DNS says nothing, or cannot be heard, the host is asked") {
    naming n;
    n.r.net.trust.hosts["name.souk.dev"] = n.r.net.trust.hosts["alice.test"];
    http::client client(n.r.net.trust); // its certificate does not name it: what matters is that it is asked
    identity_resolver::options o;
    o.now = n.r.clock(), o.names = &n.dns;
    identity_resolver who(client, o);
    for (const bool heard : {true, false}) {
        n.dns.answers["_atproto.name.souk.dev"] = heard ? result<std::vector<std::string>>(std::vector<std::string>{"hello"}) : result<std::vector<std::string>>(refusal{"dns_unreachable", ""});
        n.r.ms += 5'000;
        const auto got = resolving::handle(who, "name.souk.dev");
        CHECK(code_of(got) == "did_unresolved");
        CHECK(got.error().text.find("https://name.souk.dev/.well-known/atproto-did") == 0);
    }
}

TEST_CASE("where a handle led is remembered for a while, that it led nowhere for a moment") {
    naming n;
    const std::string page = "alice.test/.well-known/atproto-did";
    const auto asked = [&] { return n.r.net.asked.exchange(0); };
    CHECK(code_of(n.handle("alice.test")) == "did_unresolved");
    n.r.net.serve(page, "did:web:alice.example");
    (void)asked();
    CHECK(code_of(n.handle("alice.test")) == "did_unresolved"); // as a moment ago
    CHECK(asked() == 0);
    n.r.ms += 5'000;
    CHECK(n.handle("alice.test")->did == "did:web:alice.example");
    CHECK(asked() == 2); // the name, the document
    CHECK(n.handle("ALICE.test")->did == "did:web:alice.example");
    CHECK(asked() == 0);
    n.r.net.serve(page, "did:web:bob.example");
    CHECK(n.handle("alice.test")->did == "did:web:alice.example");
    n.r.ms += 300'000;
    CHECK(n.handle("alice.test")->did == "did:web:bob.example"); // both documents name it: its host has the say
}

TEST_CASE("a remembered handle counts no longer than its document names it") {
    naming n;
    n.r.net.serve("alice.test/.well-known/atproto-did", "did:web:alice.example");
    CHECK(n.handle("alice.test"));
    n.r.ms += 200'000; // the name is still fresh, the document is looked at again
    n.claim("did:web:alice.example", n.alice, {"at://other.test"});
    n.who->forget("did:web:alice.example");
    CHECK(code_of(n.handle("alice.test")) == "handle_not_claimed");
    n.claim("did:web:alice.example", n.alice, {"at://alice.test"});
    n.r.ms += 5'000;
    n.who->forget("did:web:alice.example");
    CHECK(n.handle("alice.test")); // asked for anew
}

TEST_CASE("a handle is shown for a day where nobody can say, as of when it was verified; not where somebody can") {
    naming n;
    const std::string page = "alice.test/.well-known/atproto-did";
    const auto show = [&] {
        inbox<result<shown_identity>> told;
        n.who->show_handle("alice.test", [&](auto r) { told.put(std::move(r)); });
        return told.take();
    };
    n.r.net.serve(page, "did:web:alice.example");
    const auto first = show();
    REQUIRE(first);
    CHECK(!first->stale);
    const auto as_of = first->as_of;
    n.r.ms += 3'600'000;
    n.r.net.serve(page, "", 503);
    CHECK(code_of(n.handle("alice.test")) == "did_unresolved"); // never acted upon
    const auto later = show();
    REQUIRE(later);
    CHECK(later->stale);
    CHECK(later->as_of == as_of);
    CHECK(later->document.did == "did:web:alice.example");
    n.r.ms += 82'800'000;
    CHECK(code_of(show()) == "did_unresolved");

    n.r.net.serve(page, "did:web:alice.example");
    n.r.ms += 5'000;
    CHECK(show());
    n.r.ms += 300'000;
    n.claim("did:web:alice.example", n.alice, {"at://other.test"}); // she gave it up, and its host still says that it is hers
    CHECK(code_of(show()) == "handle_not_claimed");
    n.r.net.serve(page, "", 503);
    n.r.ms += 5'000;
    CHECK(code_of(show()) == "did_unresolved"); // what is known to be over is not shown again

    n.claim("did:web:alice.example", n.alice, {"at://alice.test"});
    n.r.net.serve(page, "did:web:alice.example");
    n.r.ms += 300'000;
    CHECK(show());
    n.r.net.serve(page, "", 404); // the host is there, and names nobody
    n.r.ms += 300'000;
    CHECK(code_of(show()) == "did_unresolved");
}

TEST_CASE("the room for handles has a bound, and nonsense displaces nobody") {
    internal::handle_cache all;
    const instant now{std::chrono::hours{500'000}};
    const auto name = [](std::size_t i) { return "n" + std::to_string(i) + ".test"; };
    all.keep("first.test", "did:web:a.example", now);
    for (std::size_t i = 0; i < 3 * internal::handle_cache::most_misses; ++i) all.refuse(name(i), {"did_unresolved", ""}, true, now);
    CHECK(all.to_act_upon("first.test", now));
    CHECK_FALSE(all.miss(name(0), now));
    for (std::size_t i = 0; i < internal::handle_cache::most_known; ++i) all.keep(name(i), "did:web:a.example", now);
    CHECK_FALSE(all.to_act_upon("first.test", now)); // the one verified longest ago
    CHECK(all.to_act_upon(name(0), now));
    CHECK_FALSE(all.to_act_upon(name(0), now - std::chrono::seconds{1})); // of before it was verified: the clock was set back
}

TEST_CASE("nobody has a handle below the names that are nobody's") {
    for (const auto* name : {"a.alt", "a.arpa", "a.example", "a.internal", "a.invalid", "a.local", "A.LOCAL", "a.localhost", "a.onion", "x.y.onion"}) {
        CAPTURE(name);
        CHECK(code_of(internal::handle_of(name, true, false)) == "bad_handle");
        CHECK(internal::handle_of(name, false, true)); // the operator's own table
    }
    CHECK(code_of(internal::handle_of("a.test", false, false)) == "bad_handle");
    CHECK(internal::handle_of("a.test", true, false));
    CHECK(internal::handle_of("a.localhost.com", false, false).value() == "a.localhost.com");
    naming n;
    n.r.net.serve("alice.test/.well-known/atproto-did", "did:web:alice.example");
    CHECK(n.handle("alice.test")->did == "did:web:alice.example");
    CHECK(n.dns.asked.empty()); // no server of the real DNS knows .test
    n.again({}, false);
    CHECK(code_of(n.handle("alice.test")) == "bad_handle");
}

TEST_CASE("TXT records are read off the wire: pieces joined, other answers told apart") {
    char code = 0;
    bool cut = false;
    std::vector<std::vector<std::string>> records{{"did=did:plc:", "abc"}, {"hello"}};
    const name_server server([&](const std::string& q) { return dns_answer(q, records, code, cut); });
    const auto dns = make_txt_lookup(server.where());
    CHECK(lookup(*dns, "_atproto.alice.test").value() == std::vector<std::string>{"did=did:plc:abc", "hello"});
    records.clear();
    CHECK(lookup(*dns, "_atproto.alice.test").value().empty()); // no such record
    code = 3;
    CHECK(lookup(*dns, "_atproto.alice.test").value().empty()); // no such name
    code = 0;
    records.assign(33, {"x"});
    CHECK(code_of(lookup(*dns, "_atproto.alice.test")) == "dns_unreachable");
    records = {{"did=did:plc:abc"}}, cut = true; // a piece that says it is longer than it is
    CHECK(code_of(lookup(*dns, "_atproto.alice.test")) == "dns_unreachable");
    for (const auto* bad : {"localhost:53", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", ":53", "127.0.0.1:x"}) CHECK_THROWS(make_txt_lookup(bad));
}

TEST_CASE("those who wait for a name are told when the node stops") {
    inbox<std::string> told;
    std::atomic<bool> asked{false};
    {
        const name_server server([&](const std::string& q) {
            asked = true;
            return dns_answer(q, {}, 2); // it has failed: no other is asked
        });
        const auto dns = make_txt_lookup(server.where());
        for (int i = 0; i < 80; ++i) dns->txt("a" + std::to_string(i) + ".test", [&](auto r) { told.put(code_of(r)); });
    }
    for (int i = 0; i < 80; ++i) CHECK(told.take() == "dns_unreachable");
}

} // TEST_SUITE
