#include "identity_support.hpp"

#include <souk/messages/time.hpp>

using namespace souk;
using namespace identities;
using namespace std::chrono_literals;

namespace {

const instant noon{std::chrono::milliseconds(1'800'000'000'000)};

// An audit log as a directory would tell it, with what it says of each operation up to the test.
struct told_log {
    std::string did;
    value::list entries;
    void add(const value& operation, instant at, bool nullified = false) {
        entries.push_back(value::map{{"did", did}, {"operation", operation}, {"cid", cid_of(operation).text()}, {"nullified", nullified}, {"createdAt", to_datetime(at)}});
    }
    void nullify(std::size_t i) { (*entries[i].as<value::map>())["nullified"] = true; }
    result<plc::history> read() const { return plc::read_history(did, entries); }
};

// Three keys, the first outranks the others: what recovery is made of.
struct household {
    person alice;
    crypto::secret top = crypto::generate(curve::k256), middle = crypto::generate(curve::k256);
    value genesis;
    std::string did;
    household() {
        auto about = alice.about();
        about.recovery = {key(top), key(middle)};
        genesis = plc::genesis(about, alice.rotation), did = plc::did_of(genesis);
    }
    static std::string key(const crypto::secret& s) { return crypto::public_of(curve::k256, s).value().did_key(); }
    told_log log() const {
        told_log l{did, {}};
        l.add(genesis, noon);
        return l;
    }
    value names(const value& before, const std::string& handle, const crypto::secret& by) const { return signed_by(changed(before, handle), by); }
};

} // namespace

TEST_SUITE("did:plc") {

TEST_CASE("did:plc: the log certifies itself") {
    const person alice, eve;
    const auto genesis = plc::genesis(alice.about(), alice.rotation);
    const auto did = plc::did_of(genesis);
    CHECK(did.starts_with("did:plc:"));
    CHECK(did.size() == 32);
    auto d = plc::verify_log(did, value::list{genesis});
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"alice.example"});
    CHECK(d->signing == std::vector{alice.about().signing});
    CHECK(d->seal_key == alice.about().seal_key);
    CHECK(d->pds == "https://alice.example");
    // JSON on the way changes nothing.
    CHECK(plc::verify_log(did, from_json(to_json(value::list{genesis})).value()));

    const auto next = signed_by(changed(genesis, "alice.new.example"), alice.rotation);
    d = plc::verify_log(did, value::list{genesis, next});
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"alice.new.example"});

    const auto refused = [&](value::list log) { return code_of(plc::verify_log(did, log)) == "bad_plc_log"; };
    CHECK(refused({}));
    CHECK(refused({next}));                                                              // no beginning
    CHECK(refused({genesis, genesis}));                                                  // does not follow
    CHECK(refused({genesis, signed_by(changed(genesis, "eve.example"), eve.rotation)})); // not her key
    CHECK(refused({genesis, signed_by(changed(next, "eve.example"), alice.rotation)})); // follows another
    CHECK(refused({plc::genesis(eve.about(), eve.rotation)}));                           // another's DID
    auto tampered = *genesis.as<value::map>();
    tampered["alsoKnownAs"] = value::list{"at://eve.example"};
    CHECK(refused({tampered}));
    // A key that a later operation took away counts no more.
    auto moved = changed(genesis, "alice.example");
    moved["rotationKeys"] = value::list{eve.about().rotation.did_key()};
    const auto away = signed_by(moved, alice.rotation);
    CHECK(plc::verify_log(did, value::list{genesis, away}));
    CHECK(refused({genesis, away, signed_by(changed(away, "alice.example"), alice.rotation)}));
    CHECK(plc::verify_log(did, value::list{genesis, away, signed_by(changed(away, "alice.example"), eve.rotation)}));
    // Given up.
    const auto stone = signed_by({{"type", "plc_tombstone"}, {"prev", cid_of(genesis).text()}}, alice.rotation);
    CHECK(code_of(plc::verify_log(did, value::list{genesis, stone})) == "did_given_up");
    CHECK(refused({genesis, stone, signed_by(changed(stone, "alice.example"), alice.rotation)}));
}

TEST_CASE("did:plc: a log that the reference server wrote verifies, and no other DID's") {
    const auto log = from_json(tls::read_file(SOUK_TEST_DATA "/plc/reference-server-log.json")).value();
    const auto d = plc::verify_log("did:plc:cbgihy4rjgcpmrlgnjlndyuk", log);
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"alice.test"});
    CHECK(d->pds == "http://localhost:2583");
    CHECK(d->signing.at(0).did_key() == "did:key:zQ3shXgfkn6aSX4vzwg2U9Bd33XQi9tKBiFKUcQ3kgNqUBbbz");
    CHECK(code_of(plc::verify_log("did:plc:cbgihy4rjgcpmrlgnjlndyux", log)) == "bad_plc_log");
}

TEST_CASE("did:plc: the legacy first operation still counts") {
    const person old;
    const value::map create{
        {"type", "create"},        {"signingKey", old.about().signing.did_key()}, {"recoveryKey", old.about().rotation.did_key()},
        {"handle", "old.example"}, {"service", "https://old.example/"},           {"prev", null_t{}}};
    const auto genesis = signed_by(create, old.signing); // either key may
    const auto d = plc::verify_log(plc::did_of(genesis), value::list{genesis});
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"old.example"});
    CHECK(d->pds == "https://old.example");
    CHECK(d->signing == std::vector{old.about().signing});
}


TEST_CASE("did:plc: within 72 hours, a key that outranks another takes back what that one signed") {
    const household h;
    const auto stolen = h.names(h.genesis, "eve.example", h.alice.rotation), further = h.names(stolen, "eve2.example", h.alice.rotation);
    const auto back = h.names(h.genesis, "alice.home.example", h.middle);
    auto l = h.log();
    l.add(stolen, noon + 1h, true), l.add(further, noon + 2h, true), l.add(back, noon + 73h);
    auto got = l.read();
    REQUIRE(got);
    CHECK(got->document.handles == std::vector<std::string>{"alice.home.example"});
    CHECK(got->head_cid() == cid_of(back));
    CHECK(got->all[3].by == 1);
    CHECK(got->all[1].nullified);
    CHECK(got->operations() == value::list{h.genesis, back});
    CHECK(plc::read_history(h.did, got->audit()).value().head_cid() == got->head_cid()); // told on, it is the same

    // The most powerful key has the last word, over the middle one's too.
    const auto last = h.names(h.genesis, "alice.last.example", h.top);
    l.nullify(3), l.add(last, noon + 74h);
    got = l.read();
    REQUIRE(got);
    CHECK(got->head_cid() == cid_of(last));
    // And goes on from there, at any time, by any key.
    l.add(h.names(last, "alice.on.example", h.alice.rotation), noon + 2000h);
    CHECK(l.read());
}

TEST_CASE("did:plc: a fork that the rules do not allow is refused, whatever the directory says of it") {
    const household h;
    const auto moved = h.names(h.genesis, "a.example", h.middle);
    const auto refused = [&](const value& fork, std::chrono::hours after, bool flag = true) {
        auto l = h.log();
        l.add(moved, noon + 1h, flag), l.add(fork, noon + 1h + after);
        return code_of(l.read()) == "bad_plc_log";
    };
    CHECK_FALSE(refused(h.names(h.genesis, "b.example", h.top), 72h));
    CHECK(refused(h.names(h.genesis, "b.example", h.top), 73h));              // too late
    CHECK(refused(h.names(h.genesis, "b.example", h.middle), 1h));           // the same rank
    CHECK(refused(h.names(h.genesis, "b.example", h.alice.rotation), 1h));   // a lower one
    CHECK(refused(h.names(h.genesis, "b.example", h.top), 1h, false));       // nullified, and not said to be
    const auto bare = plc::verify_log(h.did, value::list{h.genesis, moved, h.names(h.genesis, "b.example", h.top)});
    CHECK(code_of(bare) == "bad_plc_log"); // without times there is no telling
    // What was nullified is followed by nothing.
    auto l = h.log();
    l.add(moved, noon + 1h, true), l.add(h.names(h.genesis, "b.example", h.top), noon + 2h);
    CHECK(l.read());
    l.add(h.names(moved, "c.example", h.top), noon + 3h);
    CHECK(code_of(l.read()) == "bad_plc_log");
    // Nothing is nullified that nobody disputed.
    l = h.log();
    l.add(moved, noon + 1h, true);
    CHECK(code_of(l.read()) == "bad_plc_log");
}

TEST_CASE("did:plc: a tombstone ends a log, unless a key that outranks its own takes it back in time") {
    const household h;
    const auto stone = plc::tombstone(h.genesis, h.alice.rotation).value();
    auto l = h.log();
    l.add(stone, noon + 1h);
    auto got = l.read();
    REQUIRE(got);
    CHECK(got->given_up);
    CHECK(got->document.signing.empty());
    auto after = l;
    after.add(h.names(stone, "x.example", h.top), noon + 2h);
    CHECK(code_of(after.read()) == "bad_plc_log");
    l.nullify(1), l.add(h.names(h.genesis, "back.example", h.top), noon + 72h);
    got = l.read();
    REQUIRE(got);
    CHECK_FALSE(got->given_up);
}

TEST_CASE("did:plc: no change of an audit log goes unnoticed") {
    const household h;
    auto l = h.log();
    const auto one = h.names(h.genesis, "one.example", h.alice.rotation), two = h.names(h.genesis, "two.example", h.top);
    l.add(one, noon + 1h, true), l.add(two, noon + 2h), l.add(h.names(two, "three.example", h.middle), noon + 3h);
    REQUIRE(l.read());
    const value whole = l.entries;
    unsigned tried = 0;
    // Every text, flag and number of it, one at a time; then every entry dropped, doubled and swapped.
    const std::function<void(value&)> each = [&](value& v) {
        const auto check = [&](auto& part, auto other) {
            const auto was = part;
            part = other(was);
            ++tried;
            // Times may move while order and window hold; nothing else may.
            const auto got = l.read();
            CHECK((!got || (to_json(got->operations()) == to_json(plc::read_history(h.did, whole).value().operations()))));
            part = was;
        };
        if (auto* text = v.as<std::string>()) {
            const auto times = from_datetime(*text).has_value();
            for (std::size_t i = 0; i < text->size() && !times; i += std::max<std::size_t>(1, text->size() / 7))
                check(*text, [&](std::string s) {
                    s[i] = s[i] == 'a' ? 'b' : 'a';
                    return s == *text ? s + 'x' : s;
                });
            check(*text, [](const std::string&) { return std::string(); });
        } else if (auto* flag = v.as<bool>()) {
            const auto got = [&] {
                *flag = !*flag;
                const auto r = code_of(l.read());
                *flag = !*flag;
                return r;
            }();
            CHECK(got == "bad_plc_log");
        } else if (auto* list = v.as<value::list>()) {
            for (auto& x : *list) each(x);
        } else if (auto* map = v.as<value::map>()) {
            for (auto& [key, x] : *map) each(x);
        }
    };
    for (auto& e : l.entries) {
        each(*const_cast<value*>(e.find("operation")));
        for (const char* key : {"did", "cid"}) {
            auto& text = *(*e.as<value::map>())[key].as<std::string>();
            const auto was = text;
            text.back() = text.back() == 'a' ? 'b' : 'a';
            CHECK(code_of(l.read()) == "bad_plc_log");
            text = was;
        }
        each((*e.as<value::map>())["nullified"]);
    }
    CHECK(tried > 150);
    const auto entries = l.entries;
    for (std::size_t i = 0; i + 1 < entries.size(); ++i) { // but the last: a log that ends earlier was true once, and its head is what tells
        CAPTURE(i);
        l.entries = entries;
        l.entries.erase(l.entries.begin() + static_cast<std::ptrdiff_t>(i));
        if (i == 1) CHECK(l.read()->head_cid() == plc::read_history(h.did, whole)->head_cid()); // less what was nullified, it leads to the same
        else CHECK(code_of(l.read()) == "bad_plc_log");
        l.entries = entries;
        std::swap(l.entries[i], l.entries[i + 1]);
        CHECK(code_of(l.read()) == "bad_plc_log");
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
        l.entries = entries;
        l.entries.insert(l.entries.begin() + static_cast<std::ptrdiff_t>(i), entries[i]);
        CHECK(code_of(l.read()) == "bad_plc_log");
    }
}

TEST_CASE("did:plc: what is out of bounds or out of form is refused") {
    const household h;
    const auto code = [&](const value& log) { return code_of(plc::read_history(h.did, log)); };
    CHECK(code(value("x")) == "bad_plc_log");
    CHECK(code(value::list(1001, h.genesis)) == "bad_plc_log");
    CHECK(code(value::list{value::map{{"operation", "x"}}}) == "bad_plc_log");
    auto l = h.log();
    (*l.entries[0].as<value::map>())["createdAt"] = "yesterday";
    CHECK(code(l.entries) == "bad_plc_log");
    auto big = *h.genesis.as<value::map>();
    big["note"] = std::string(17'000, 'x');
    const auto huge = signed_by(big, h.alice.rotation);
    CHECK(code_of(plc::read_history(plc::did_of(huge), value::list{huge})) == "bad_plc_log");
    auto keys = *h.genesis.as<value::map>();
    value::list six;
    for (int i = 0; i < 6; ++i) six.emplace_back(household::key(crypto::generate(curve::k256)));
    keys["rotationKeys"] = six;
    const auto many = signed_by(keys, h.alice.rotation);
    CHECK(code_of(plc::read_history(plc::did_of(many), value::list{many})) == "bad_plc_log");
    // A later operation earlier than one before it.
    l = h.log();
    l.add(h.names(h.genesis, "a.example", h.top), noon - 1h);
    CHECK(code(l.entries) == "bad_plc_log");
}

TEST_CASE("did:plc: an update says what is wanted, keeps what it does not speak of, and is made only where something changes") {
    const household h;
    auto wanted = h.alice.about();
    wanted.recovery = {household::key(h.top), household::key(h.middle)};
    CHECK_FALSE(plc::update(h.genesis, wanted, h.alice.rotation).value());
    auto theirs = *h.genesis.find("services")->as<value::map>();
    theirs["labeler"] = value::map{{"type", "Labeler"}, {"endpoint", "https://labels.example"}};
    const auto before = plc::change(h.genesis, {{"services", theirs}, {"alsoKnownAs", value::list{"at://alice.example", "at://other.example", "https://alice.blog"}}}, h.alice.rotation).value();
    CHECK_FALSE(plc::update(before, wanted, h.alice.rotation).value());
    wanted.handle = "alice.new.example", wanted.pds = "https://new.example";
    wanted.services["pdr_temp_market"] = {"PDRTempMarket", "https://market.example"};
    const person later;
    wanted.signing = later.about().signing;
    const auto next = plc::update(before, wanted, h.alice.rotation).value();
    REQUIRE(next);
    const auto d = plc::verify_log(h.did, value::list{h.genesis, before, *next});
    REQUIRE(d);
    CHECK(d->signing == std::vector{wanted.signing});
    CHECK(d->handles == std::vector<std::string>{"alice.new.example", "other.example"});
    CHECK(next->find("alsoKnownAs")->as<value::list>()->back() == value("https://alice.blog"));
    CHECK(d->pds == "https://new.example");
    CHECK(d->seal_key == wanted.seal_key);
    CHECK(d->services == std::vector<did_service>{{"labeler", "Labeler", "https://labels.example"}, {"pdr_temp_market", "PDRTempMarket", "https://market.example"}});
    // A key that outranks: put before those that are there. The same again is the same operation.
    auto safer = wanted;
    safer.recovery = {household::key(crypto::generate(curve::k256)), household::key(h.top)};
    const auto ranked = plc::update(*next, safer, h.alice.rotation).value();
    REQUIRE(ranked);
    const auto& keys = *ranked->find("rotationKeys")->as<value::list>();
    CHECK(keys.size() == 4);
    CHECK(keys[0] == value(safer.recovery[0]));
    CHECK(*plc::update(*next, safer, h.alice.rotation).value() == *ranked);
    // Keys that count besides, and no longer.
    auto turned = wanted;
    turned.also = {later.about().rotation, h.alice.about().signing};
    const auto more = plc::update(*next, turned, h.alice.rotation).value();
    REQUIRE(more);
    CHECK(plc::verify_log(h.did, value::list{h.genesis, before, *next, *more})->signing == std::vector{wanted.signing, later.about().rotation, h.alice.about().signing});
    const auto fewer = plc::update(*more, wanted, h.alice.rotation).value();
    CHECK(plc::verify_log(h.did, value::list{h.genesis, before, *next, *more, *fewer})->signing == std::vector{wanted.signing});
    // A legacy log goes on in today's form.
    const value old = signed_by({{"type", "create"}, {"signingKey", household::key(h.top)}, {"recoveryKey", household::key(h.alice.rotation)}, {"handle", "old.example"},
                                 {"service", "old.example"}, {"prev", null_t{}}}, h.top);
    const auto modern = plc::update(old, h.alice.about(), h.alice.rotation).value();
    REQUIRE(modern);
    CHECK(plc::verify_log(plc::did_of(old), value::list{old, *modern}));
}

TEST_CASE("did:plc: what a directory would not take is not made") {
    const household h;
    const person eve;
    auto wanted = h.alice.about();
    wanted.handle = "new.example";
    CHECK(code_of(plc::update(h.genesis, wanted, eve.rotation)) == "plc_not_ours");
    CHECK(code_of(plc::tombstone(h.genesis, eve.rotation)) == "plc_not_ours");
    CHECK(code_of(plc::change(h.genesis, {{"alsoKnownAs", value::list{std::string(8'000, 'x')}}}, h.alice.rotation)) == "plc_too_large");
    CHECK(code_of(plc::change(h.genesis, {{"alsoKnownAs", "x"}}, h.alice.rotation)) == "bad_plc_operation");
    CHECK(code_of(plc::change(h.genesis, {{"more", "x"}}, h.alice.rotation)) == "bad_plc_operation");
    const auto twice = household::key(h.top);
    CHECK(code_of(plc::change(h.genesis, {{"rotationKeys", value::list{twice, twice}}}, h.alice.rotation)) == "bad_plc_operation");
    CHECK(code_of(plc::change(h.genesis, {{"rotationKeys", value::list{}}}, h.alice.rotation)) == "bad_plc_operation");
    value::map eleven;
    for (int i = 0; i < 11; ++i) eleven["m" + std::to_string(i)] = twice;
    CHECK(code_of(plc::change(h.genesis, {{"verificationMethods", eleven}}, h.alice.rotation)) == "bad_plc_operation");
    const auto stone = plc::tombstone(h.genesis, h.alice.rotation).value();
    CHECK(code_of(plc::update(stone, wanted, h.alice.rotation)) == "bad_plc_operation");
    auto six = h.alice.about();
    for (int i = 0; i < 5; ++i) six.recovery.push_back(household::key(crypto::generate(curve::k256)));
    CHECK_THROWS(plc::genesis(six, h.alice.rotation));
}

} // TEST_SUITE
