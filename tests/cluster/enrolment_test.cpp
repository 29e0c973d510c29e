#include <doctest/doctest.h>

#include <fstream>
#include <thread>

#include <sys/stat.h>

#include <souk/messages/bytes.hpp>
#include <souk/runtime/cluster/enrolment.hpp>

#include "hosts.hpp"

using namespace hosts;

namespace {

const instant now = wall_clock()();
const instant tomorrow = now + std::chrono::hours{24};

std::string code(const auto& r) { return r ? "ok" : r.error().code; }
int mode(const fs::path& file) {
    struct stat s {};
    return ::stat(file.c_str(), &s) == 0 ? static_cast<int>(s.st_mode & 0777) : -1;
}
std::string contents(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct founded {
    directory home;
    fs::path alice = home / "alice", bob = home / "bob";
    founded() { REQUIRE(code(enrolment::init(alice, "the market", "alice")) == "ok"); }
    enrolment::prepared invited(const std::string& node = "bob", instant ends = tomorrow) {
        const auto token = enrolment::invite(alice, node, "https://alice.example:8443", ends);
        REQUIRE(token.has_value());
        const auto p = enrolment::prepare(*token);
        REQUIRE(p.has_value());
        return *p;
    }
};

} // namespace

TEST_CASE("a host that is invited becomes a member, and the two link") {
    founded f;
    const auto p = f.invited();
    CHECK(p.door == "https://alice.example:8443");
    CHECK(p.body.node == "bob");
    const auto in = enrolment::admit(f.alice, p.body, now);
    REQUIRE(in.has_value());
    REQUIRE(code(enrolment::accept(f.bob, p, *in)) == "ok");

    const auto options = [](const fs::path& d, const std::string& node) {
        const auto files = enrolment::files_of(d);
        cluster_options o;
        o.node = node, o.owner = "did:web:" + node;
        o.authority = files.authority, o.certificate = files.certificate, o.key = files.key;
        return o;
    };
    auto hers = options(f.alice, "alice");
    hers.allowed = {"bob"};
    host alice(hers);
    auto his = options(f.bob, "bob");
    his.peers = {at("alice", alice.net->port())};
    host bob(his);
    CHECK(bob.up("alice"));
    CHECK(alice.up("bob"));
}

TEST_CASE("secrets are for their owner alone, and no token is kept") {
    founded f;
    const auto p = f.invited();
    const auto in = enrolment::admit(f.alice, p.body, now);
    REQUIRE(in.has_value());
    REQUIRE(enrolment::accept(f.bob, p, *in).has_value());
    for (const auto& file : {f.alice / "authority.key", f.alice / "node.key", f.bob / "node.key", f.alice / "invitations"}) CHECK_MESSAGE(mode(file) == 0600, file.string());
    CHECK(mode(f.alice) == 0700);
    CHECK(mode(f.bob) == 0700);
    const auto list = contents(f.alice / "invitations");
    CHECK(list.find("bob") != list.npos);
    CHECK(list.find(p.body.token) == list.npos);
    CHECK_FALSE(fs::exists(f.bob / "authority.key"));
    CHECK_FALSE(fs::exists(f.bob / ".joining"));
}

TEST_CASE("an invitation is good once, for one name, until it ends") {
    founded f;
    SUBCASE("once") {
        const auto p = f.invited();
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "ok");
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "token_spent");
    }
    SUBCASE("once, however many ask together") {
        const auto p = f.invited();
        std::atomic<int> admitted = 0;
        std::vector<std::thread> all;
        for (int i = 0; i < 8; ++i) all.emplace_back([&] { admitted += enrolment::admit(f.alice, p.body, now).has_value(); });
        for (auto& t : all) t.join();
        CHECK(admitted == 1);
    }
    SUBCASE("for one name") {
        auto p = f.invited();
        p.body.node = "eve";
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "wrong_name");
        p.body.node = "bob";
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "ok"); // a mistake does not spend it
    }
    SUBCASE("until it ends") {
        const auto p = f.invited("bob", now);
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "token_expired");
    }
    SUBCASE("and nobody's guess") {
        auto p = f.invited();
        p.body.token.back() = p.body.token.back() == 'A' ? 'B' : 'A';
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "bad_token");
    }
    SUBCASE("a request that is none does not spend it") {
        auto p = f.invited();
        const auto request = std::exchange(p.body.request, "no request");
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "bad_request");
        p.body.request = request;
        CHECK(code(enrolment::admit(f.alice, p.body, now)) == "ok");
    }
}

TEST_CASE("an invitation holds whatever becomes of the others, and is forgotten long after its end") {
    founded f;
    const auto bob = f.invited("bob"), dave = f.invited("dave"), carol = f.invited("carol", now + std::chrono::hours{24 * 90});
    CHECK(code(enrolment::admit(f.alice, bob.body, now)) == "ok");
    const auto later = now + std::chrono::hours{24 * 20}, much_later = now + std::chrono::hours{24 * 60};
    CHECK(code(enrolment::admit(f.alice, dave.body, later)) == "token_expired");
    CHECK(code(enrolment::admit(f.alice, carol.body, much_later)) == "ok");
    CHECK(code(enrolment::admit(f.alice, dave.body, much_later)) == "bad_token");
    CHECK(contents(f.alice / "invitations").find("\"bob\"") == std::string::npos);
}

TEST_CASE("the new member believes only the authority that its token names, and only its own certificate") {
    founded f;
    const auto p = f.invited();
    const auto in = enrolment::admit(f.alice, p.body, now);
    REQUIRE(in.has_value());
    SUBCASE("another authority") {
        REQUIRE(enrolment::init(f.home / "eve", "the market", "eve").has_value());
        auto wrong = *in;
        wrong.authority = tls::read_file(f.home / "eve" / "authority.crt");
        CHECK(code(enrolment::accept(f.bob, p, wrong)) == "wrong_authority");
    }
    SUBCASE("a certificate for another's key") {
        auto other = f.invited("bob");
        const auto theirs = enrolment::admit(f.alice, other.body, now);
        REQUIRE(theirs.has_value());
        CHECK(code(enrolment::accept(f.bob, p, *theirs)) == "bad_certificate");
    }
    SUBCASE("a certificate for another name") {
        auto other = f.invited("carol");
        other.body.request = p.body.request;
        const auto theirs = enrolment::admit(f.alice, other.body, now);
        REQUIRE(theirs.has_value());
        CHECK(code(enrolment::accept(f.bob, p, *theirs)) == "bad_certificate");
    }
    SUBCASE("no certificate") {
        CHECK(code(enrolment::accept(f.bob, p, {"nothing", in->authority})) == "bad_certificate");
        CHECK(code(enrolment::accept(f.bob, p, {in->certificate, "nothing"})) == "bad_certificate");
        CHECK(code(enrolment::accept(f.bob, p, {in->certificate, std::string(100'000, 'x')})) == "bad_certificate");
    }
    CHECK_FALSE(fs::exists(f.bob / "node.crt"));
    CHECK(code(enrolment::accept(f.bob, p, *in)) == "ok");
}

TEST_CASE("a membership is not overwritten") {
    founded f;
    CHECK(code(enrolment::init(f.alice, "another", "alice")) == "already_a_member");
    const auto p = f.invited();
    const auto in = enrolment::admit(f.alice, p.body, now);
    REQUIRE(in.has_value());
    CHECK(code(enrolment::accept(f.alice, p, *in)) == "already_a_member");
    CHECK(code(enrolment::accept(f.bob, p, *in)) == "ok");
    CHECK(code(enrolment::init(f.bob, "another", "bob")) == "already_a_member");
    CHECK(code(enrolment::accept(f.bob, p, *in)) == "already_a_member");
}

TEST_CASE("names, doors and tokens are checked, and only the founder invites") {
    founded f;
    for (const char* bad : {"", "Bob", "bob.example", "-bob", "bob-", "b b", "../bob", "b\xc3\xb6"}) {
        CHECK_MESSAGE(code(enrolment::invite(f.alice, bad, "https://x", tomorrow)) == "bad_name", bad);
        CHECK_MESSAGE(code(enrolment::init(f.home / "new", "c", bad)) == "bad_name", bad);
    }
    CHECK(code(enrolment::invite(f.alice, std::string(64, 'b'), "https://x", tomorrow)) == "bad_name");
    CHECK(code(enrolment::invite(f.alice, "bob", "ftp://x", tomorrow)) == "bad_door");
    CHECK(code(enrolment::invite(f.bob, "bob", "https://x", tomorrow)) == "not_the_authority");
    CHECK(code(enrolment::init(f.home / "new", "", "bob")) == "bad_name");
    for (const std::string bad : {"", "souk1.", "souk1.!!!", "souk2.AAAA", "souk1.AAAA"}) CHECK_MESSAGE(code(enrolment::prepare(bad)) == "bad_token", bad);
    CHECK(code(enrolment::prepare("souk1." + std::string(10'000, 'A'))) == "bad_token");
    CHECK(code(enrolment::admit(f.bob, {"bob", "souk1.x", "x"}, now)) == "not_the_authority");
}

TEST_CASE("a damaged list of invitations admits nobody, and says so") {
    founded f;
    const auto p = f.invited();
    std::ofstream(f.alice / "invitations") << "{\"all\": [";
    CHECK(code(enrolment::admit(f.alice, p.body, now)) == "storage");
    CHECK(code(enrolment::invite(f.alice, "carol", "https://x", tomorrow)) == "storage");
}
