#include "stage.hpp"
#include "virtual_time.hpp"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <souk/actors/broker/credential.hpp>
#include <souk/actors/broker/grants.hpp>
#include <souk/messages/bytes.hpp>

using namespace souk;

namespace {

const std::string keys_nsid{ssh_public_key::nsid};

struct parties {
    stage::party alice{"did:plc:alice"}, relay{"did:web:relay.example"}, eve{"did:plc:eve"};
    instant now{std::chrono::seconds{1'778'312'530}};

    std::int64_t seconds(int later = 0) const { return std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count() + later; }
    std::string grant() const { return credential::sign_grant({alice.did, relay.did, keys_nsid, now, 3600s}, alice.key).value(); }
    value::map grant_claims() const {
        return {{"iss", alice.did}, {"aud", relay.did}, {"scope", "repo:com.fedproxy.sshPublicKey?action=create"}, {"iat", seconds()}, {"exp", seconds(3600)}};
    }
    std::string grant_but(const char* key, value v) const {
        auto c = grant_claims();
        c.insert_or_assign(key, std::move(v));
        return jwt::sign_es256k(std::move(c), alice.key).value();
    }
    std::string service() const { return credential::service_token(relay.did, alice.did, now, "id", relay.key).value(); }
    std::string service_but(const char* key, value v) const {
        value::map c{{"iss", relay.did}, {"aud", alice.did}, {"lxm", credential::create_record}, {"iat", seconds()}, {"exp", seconds(60)}};
        c.insert_or_assign(key, std::move(v));
        return jwt::sign_es256k(std::move(c), relay.key).value();
    }
    static value write_of(const std::string& repo, const std::string& collection) {
        return value::map{{"repo", repo}, {"collection", collection}, {"record", value::map{}}};
    }
    std::string at_the_door(const std::string& service_token, const std::string& grant_token, const value& body,
                            const std::string& method = credential::create_record) const {
        return code(credential::check_granted_write({service_token, grant_token, alice.did, alice.open, relay.did, {relay.open}, method, body, now}));
    }
    credential::grant lasting(std::chrono::seconds life) const {
        return credential::read_grant(credential::sign_grant({alice.did, relay.did, keys_nsid, now, life}, alice.key).value(), alice.did, relay.did, {alice.open}, now).value();
    }
    std::string taken(const std::string& token) const { return code(credential::read_grant(token, alice.did, relay.did, {alice.open}, now)); }
};

struct folder {
    std::filesystem::path path;
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "souk-grants-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~folder() { std::filesystem::remove_all(path); }
};

} // namespace

TEST_CASE_FIXTURE(parties, "an account's door takes what the relay writes under its grant") {
    CHECK(at_the_door(service(), grant(), write_of(alice.did, keys_nsid)) == "good");
    CHECK(credential::sender_of(service()).value() == relay.did);
    CHECK(credential::grantor_of(grant()).value() == alice.did);
}

TEST_CASE_FIXTURE(parties, "a grant for one kind of record opens no other, and no other method") {
    CHECK(at_the_door(service(), grant(), write_of(alice.did, "com.fedproxy.rbac")) == "wrong_collection");
    CHECK(at_the_door(service(), grant(), write_of(alice.did, "")) == "wrong_collection");
    CHECK(at_the_door(service(), grant(), value(value::list{})) == "wrong_repository");
    CHECK(at_the_door(service(), grant(), write_of(alice.did, keys_nsid), "com.atproto.repo.deleteRecord") == "wrong_method");
    CHECK(at_the_door(service_but("lxm", "com.atproto.repo.putRecord"), grant(), write_of(alice.did, keys_nsid)) == "wrong_method");
}

TEST_CASE_FIXTURE(parties, "a grant is for one's own repository") {
    CHECK(at_the_door(service(), grant(), write_of(eve.did, keys_nsid)) == "wrong_repository");
    CHECK(at_the_door(service(), grant(), write_of("", keys_nsid)) == "wrong_repository");
}

TEST_CASE_FIXTURE(parties, "a grant without the relay's own token is worth nothing: who stole it cannot use it") {
    const auto body = write_of(alice.did, keys_nsid);
    CHECK(at_the_door("", grant(), body) == "bad_token");
    CHECK(at_the_door(credential::service_token(relay.did, alice.did, now, "id", eve.key).value(), grant(), body) == "bad_signature");
    CHECK(at_the_door(credential::service_token(eve.did, alice.did, now, "id", relay.key).value(), grant(), body) == "wrong_issuer");
    // Eve as a relay of her own: her token verifies, but the grant names another relay.
    CHECK(code(credential::check_granted_write({credential::service_token(eve.did, alice.did, now, "id", eve.key).value(), grant(), alice.did, alice.open,
                                                eve.did, {eve.open}, credential::create_record, body, now})) == "wrong_audience");
    CHECK(code(credential::check_granted_write({service(), grant(), alice.did, alice.open, "", {relay.open}, credential::create_record, body, now})) ==
          "wrong_issuer");
}

TEST_CASE_FIXTURE(parties, "a service token is for one account and for a moment") {
    const auto body = write_of(alice.did, keys_nsid);
    CHECK(at_the_door(service_but("aud", eve.did), grant(), body) == "wrong_audience");
    CHECK(at_the_door(service_but("exp", seconds(3600)), grant(), body) == "token_too_long_lived");
    const auto old = service(), still = grant();
    now += 2min;
    CHECK(at_the_door(old, still, body) == "token_expired");
    now += 2h;
    CHECK(at_the_door(service(), still, body) == "token_expired"); // the grant
}

TEST_CASE_FIXTURE(parties, "a grant by anyone but the account is none") {
    CHECK(taken(grant()) == "good");
    CHECK(taken(jwt::sign_es256k(grant_claims(), eve.key).value()) == "bad_signature");
    CHECK(taken(grant_but("iss", eve.did)) == "wrong_issuer");
    CHECK(taken(grant_but("aud", eve.did)) == "wrong_audience");
    CHECK(taken(grant_but("exp", seconds(-60))) == "token_expired");
    CHECK(taken(grant_but("exp", seconds(32 * 24 * 3600))) == "token_too_long_lived");
    const auto good = grant();
    const auto claims_on = good.substr(good.find('.'));
    CHECK(taken(to_base64url(R"({"alg":"none","typ":"JWT"})") + claims_on.substr(0, claims_on.rfind('.') + 1)) == "bad_token");
    CHECK(taken(to_base64url(R"({"alg":"HS256","typ":"JWT"})") + claims_on) == "bad_token");
}

TEST_CASE_FIXTURE(parties, "a scope names exactly one kind of record, to create") {
    for (const char* bad : {"", "repo:", "repo:*?action=create", "repo:com.fedproxy.sshPublicKey", "repo:com.fedproxy.sshPublicKey?action=delete",
                            "repo:com.fedproxy.sshPublicKey?action=create&action=delete", "atproto transition:generic", "repo:?action=create",
                            "repo?action=create", "repo:com.fedproxy.rbac com.fedproxy.sshPublicKey?action=create"}) {
        CAPTURE(bad);
        CHECK(taken(grant_but("scope", bad)) == "bad_scope");
    }
    CHECK(code(credential::sign_grant({alice.did, relay.did, "*", now, 3600s}, alice.key)) == "bad_grant");
    CHECK(code(credential::sign_grant({alice.did, relay.did, keys_nsid, now, 32 * 24h}, alice.key)) == "bad_grant");
}

namespace {

// A book on a file, or on what stands for one.
struct book_on {
    explicit book_on(const std::filesystem::path& p) : own(make_kept_file(p)), book(*own, grant_book::read(*own), [](std::function<void()> f) { f(); }) {}
    explicit book_on(kept_file& f) : book(f, grant_book::read(f), [](std::function<void()> run) { run(); }) {}
    std::string keep(const credential::grant& g, instant now) {
        std::string said = "nothing yet";
        book.keep(g, now, [&said](result<void> r) { said = code(r); });
        return said;
    }
    std::unique_ptr<kept_file> own;
    grant_book book;
};

// A file whose disk takes its time, and may not know.
struct slow_file final : kept_file {
    std::string name() const override { return "a slow file"; }
    std::optional<std::string> read(std::size_t) const override { return kept; }
    void replace(std::string bytes, done then) override { coming = std::move(bytes), tell = std::move(then), ++writes; }
    void answer(result<void> how) {
        if (how) kept = coming;
        std::exchange(tell, {})(std::move(how));
    }
    std::optional<std::string> kept;
    std::string coming;
    done tell;
    int writes = 0;
};

} // namespace

TEST_CASE_FIXTURE(parties, "grants outlive a restart, in a file that others cannot read") {
    folder in;
    const auto file = in.path / "grants.json";
    const auto g = credential::read_grant(grant(), alice.did, relay.did, {alice.open}, now).value();
    {
        book_on first(file);
        CHECK(first.book.find(alice.did, keys_nsid, now) == nullptr);
        REQUIRE(first.keep(g, now) == "good");
    }
    struct stat about{};
    REQUIRE(::stat(file.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);

    const book_on again(file);
    REQUIRE(again.book.find(alice.did, keys_nsid, now) != nullptr);
    CHECK(again.book.find(alice.did, keys_nsid, now)->token == g.token);
    CHECK(again.book.find(alice.did, "com.fedproxy.rbac", now) == nullptr);
    CHECK(again.book.find(eve.did, keys_nsid, now) == nullptr);
    CHECK(again.book.find(alice.did, keys_nsid, g.until) == nullptr); // it has an end
}

TEST_CASE_FIXTURE(parties, "of two grants the later expiry stays, whichever came first") {
    folder in;
    book_on b(in.path / "grants.json");
    const auto hour = lasting(1h), day = lasting(24h), week = lasting(24h * 7);
    for (const auto& g : {day, hour, week, day}) REQUIRE(b.keep(g, now) == "good");
    CHECK(b.book.find(alice.did, keys_nsid, now)->token == week.token);
    CHECK(b.book.size() == 1);
}

TEST_CASE_FIXTURE(parties, "a grant counts when the disk has it, and not before") {
    slow_file file;
    book_on b(file);
    std::vector<std::string> said;
    const auto keep = [&](const credential::grant& g) { b.book.keep(g, now, [&](result<void> r) { said.push_back(code(r)); }); };
    const auto hour = lasting(1h), day = lasting(24h), week = lasting(24h * 7);
    keep(hour);
    CHECK(said.empty());
    CHECK(b.book.find(alice.did, keys_nsid, now) == nullptr);
    keep(week), keep(day); // while the first is being written: they are written together
    CHECK(file.writes == 1);
    file.answer({});
    CHECK(said == std::vector<std::string>{"good"});
    CHECK(b.book.find(alice.did, keys_nsid, now)->token == hour.token);
    CHECK(file.writes == 2);
    file.answer(refusal{"not_kept", "the disk is full"});
    CHECK(said == std::vector<std::string>{"good", "not_kept", "not_kept"});
    CHECK(b.book.find(alice.did, keys_nsid, now)->token == hour.token);
    keep(week);
    file.answer({});
    CHECK(said.back() == "good");
    CHECK(book_on(file).book.find(alice.did, keys_nsid, now)->token == week.token);
    CHECK(file.writes == 3);
}

TEST_CASE_FIXTURE(parties, "so many grants wait for a slow disk, and then there is room again") {
    slow_file file;
    book_on b(file);
    std::string last;
    for (std::size_t i = 0; i <= grant_book::most_waiting; ++i) b.book.keep(lasting(std::chrono::seconds{3600 + static_cast<int>(i)}), now, [&](result<void> r) { last = code(r); });
    CHECK(last.empty());
    b.book.keep(lasting(24h), now, [&](result<void> r) { last = code(r); });
    CHECK(last == "not_now");
    file.answer({}), file.answer({});
    CHECK(last == "good");
}

TEST_CASE_FIXTURE(parties, "a grant that cannot be written is not kept, and a broken file is not taken for an empty one") {
    folder in;
    book_on nowhere(in.path / "missing" / "grants.json");
    const auto g = credential::read_grant(grant(), alice.did, relay.did, {alice.open}, now).value();
    CHECK(nowhere.keep(g, now) == "not_kept");
    CHECK(nowhere.book.find(alice.did, keys_nsid, now) == nullptr);

    std::ofstream(in.path / "broken.json") << "[{\"account\":";
    CHECK_THROWS_AS(book_on(in.path / "broken.json"), std::runtime_error);
    std::ofstream(in.path / "empty.json").flush();
    CHECK_THROWS_AS(book_on(in.path / "empty.json"), std::runtime_error);
}
