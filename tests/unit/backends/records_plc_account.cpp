// A node's own did:plc and its directory: a fake one, in virtual time, that loses answers.
#include "identity_support.hpp"

#include <souk/backends/records/plc_account.hpp>

using namespace souk;
using namespace identities;
using namespace std::chrono_literals;
using standing = plc_account::standing;

namespace {

struct fake_directory {
    // deaf: what is told never arrives; lost: it does, and the answer does not; forgetful: it is taken with thanks, and that is all
    enum class trouble { none, down, deaf, lost, forgetful };
    instant now{std::chrono::milliseconds(1'800'000'000'000)};
    trouble now_is = trouble::none;
    unsigned refuses = 0; // with this status
    value::list log;
    unsigned asked = 0, told = 0;
    std::function<void(const value&)> heard; // what is told, as it arrives and before it is answered

    http::fetcher fetch() {
        return [this](http::call c, std::function<void(result<http::response>)> tell) {
            const bool post = c.method == "POST";
            ++(post ? told : asked);
            if (post && heard) heard(from_json(c.body).value());
            if (now_is == trouble::down || (post && now_is == trouble::deaf)) return tell(refusal{"http_unreachable", "no route"});
            if (post && refuses) return tell(http::response{refuses, {}, "no"});
            if (post && now_is == trouble::forgetful) return tell(http::response{200, {}, "OK"});
            if (post) {
                const auto ok = take(from_json(c.body).value());
                if (now_is == trouble::lost) return tell(refusal{"http_broken", "cut off"});
                return tell(http::response{ok ? 200U : 400U, {}, ""});
            }
            tell(log.empty() ? http::response{404, {}, ""} : http::response{200, {}, to_json(value(log))});
        };
    }
    std::string did() const { return plc::did_of(*log.front().find("operation")); }
    bool take(const value& operation) { // by the rules: whatever it disputes is nullified
        auto more = log;
        const auto id = log.empty() ? plc::did_of(operation) : did();
        bool after = false;
        for (auto& e : more) {
            if (after) (*e.as<value::map>())["nullified"] = true;
            after = after || e.text("cid") == operation.text("prev");
        }
        more.push_back(value::map{{"did", id}, {"operation", operation}, {"cid", cid_of(operation).text()}, {"nullified", false}, {"createdAt", to_datetime(now)}});
        if (!plc::read_history(id, more)) return false;
        log = std::move(more);
        return true;
    }
    std::size_t count() const { return log.size(); }
};

struct house {
    directory home;
    person alice;
    fake_directory net;
    bool publish = true;
    plc::genesis_of says = alice.about();
    std::unique_ptr<plc_account> account;
    house() { restart(); }
    void restart() {
        account.reset();
        account = std::make_unique<plc_account>(plc_account::options{home / "plc.json", "https://plc.example/", publish, says, [this] { return net.now; }}, alice.rotation);
    }
    standing after(std::chrono::milliseconds span) {
        net.now += span;
        account->tick(net.fetch());
        return account->look().how;
    }
    standing settle() { // as many questions as it takes, not more than a few
        auto s = after(1s);
        for (int i = 0; i < 8 && s == standing::waiting; ++i) s = after(1s);
        return s;
    }
};

} // namespace

TEST_SUITE("a node's own did:plc") {

TEST_CASE("it is made once, told to the directory, and asked for before it counts as told") {
    house h;
    const auto did = h.account->own().did;
    CHECK(h.after(0s) == standing::waiting);
    CHECK(h.net.told == 1);
    CHECK(h.net.did() == did);
    CHECK(h.after(0s) == standing::agrees);
    CHECK(h.net.told == 1);
    h.after(30min);
    CHECK(h.net.asked == 2);
    h.after(31min);
    CHECK(h.net.asked == 3);
    h.restart();
    CHECK(h.account->own().did == did);
    CHECK(h.settle() == standing::agrees);
    CHECK(h.net.told == 1);
}

TEST_CASE("a change of what it is to say is an operation on the disk before anyone hears of it") {
    house h;
    h.settle();
    h.says.handle = "alice.new.example", h.says.services["pdr_temp_market"] = {"PDRTempMarket", "https://market.example"};
    h.net.now_is = fake_directory::trouble::down;
    h.restart();
    const auto head = h.account->own().head_cid();
    CHECK(h.account->own().all.size() == 2);
    const auto kept = from_json(tls::read_file(h.home / "plc.json")).value();
    CHECK(plc::read_history(h.account->own().did, kept)->head_cid() == head);
    CHECK(h.net.asked == 2); // none of it since the start
    CHECK(h.account->own().document.handles == std::vector<std::string>{"alice.new.example"}); // a node goes on with its own log
    CHECK(h.after(0s) == standing::unknown);
    h.restart(); // killed: the same operation, not another
    CHECK(h.account->own().head_cid() == head);
    h.net.now_is = fake_directory::trouble::none;
    CHECK(h.settle() == standing::agrees);
    CHECK(h.net.count() == 2);
    CHECK(h.account->look().directory_head == head.text());
}

TEST_CASE("whatever answer is lost, and whenever it is killed, the directory has each operation once") {
    for (const auto trouble : {fake_directory::trouble::deaf, fake_directory::trouble::lost, fake_directory::trouble::down})
        for (const bool killed : {false, true})
            for (int at = 0; at < 4; ++at) {
                CAPTURE(at);
                CAPTURE(killed);
                house h;
                h.says.handle = "alice.new.example";
                h.restart(); // two operations to tell
                for (int i = 0; i < 12; ++i) {
                    h.net.now_is = i == at ? trouble : fake_directory::trouble::none;
                    h.after(11min);
                    if (killed && i == at) h.restart();
                }
                CHECK(h.account->look().how == standing::agrees);
                CHECK(h.net.count() == 2);
                CHECK(h.net.told <= 3);
            }
}

TEST_CASE("an operation is on the disk before the directory hears of it, and one whose answer a crash took is not told again") {
    house h;
    unsigned killed = 0;
    h.net.heard = [&](const value& operation) {
        const auto kept = plc::read_history(h.account->own().did, from_json(tls::read_file(h.home / "plc.json")).value()).value();
        const auto all = kept.operations();
        CHECK(std::find(all.begin(), all.end(), operation) != all.end()); // the intent, before the effect
        REQUIRE(h.net.take(operation));
        throw std::runtime_error("killed"); // it has been heard: the answer comes to nobody
    };
    const auto tick_and_die = [&] {
        try {
            h.after(1s);
        } catch (const std::runtime_error&) {
            ++killed;
            h.restart();
        }
    };
    for (int i = 0; i < 8; ++i) tick_and_die();
    CHECK(killed == 1);
    CHECK(h.account->look().how == standing::agrees);
    h.says.handle = "alice.new.example";
    h.restart();
    h.says.services["pdr_temp_market"] = {"PDRTempMarket", "https://market.example"};
    h.restart(); // two more to tell
    for (int i = 0; i < 20; ++i) tick_and_die();
    CHECK(killed == 3);
    CHECK(h.net.told == 3); // each once
    CHECK(h.net.count() == 3);
    CHECK(h.account->look().how == standing::agrees);
}

TEST_CASE("a directory that is silent or refuses is asked less and less often") {
    house h;
    h.net.now_is = fake_directory::trouble::down;
    CHECK(h.after(0s) == standing::unknown);
    h.after(4s);
    CHECK(h.net.asked == 1);
    h.after(1s), h.after(9s);
    CHECK(h.net.asked == 2);
    h.after(1s);
    CHECK(h.net.asked == 3);
    h.net.asked = 0;
    for (int i = 0; i < 36'000; ++i) h.after(1s); // ten hours
    CHECK(h.net.asked < 70);
    CHECK(h.net.asked > 50);
    h.net.now_is = fake_directory::trouble::none, h.net.refuses = 400;
    CHECK(h.after(11min) == standing::refused);
    CHECK(h.account->look().why.find("400 no") != std::string::npos);
    h.net.told = 0;
    for (int i = 0; i < 36'000; ++i) h.after(1s);
    CHECK(h.net.told < 20);
    CHECK(h.net.told > 5);
    h.net.refuses = 0, h.net.now_is = fake_directory::trouble::forgetful, h.net.told = 0;
    for (int i = 0; i < 36'000; ++i) h.after(1s);
    CHECK(h.net.told < 70);
    CHECK(h.net.told > 50);
    h.net.now_is = fake_directory::trouble::none;
    h.after(11min);
    h.after(11min); // told; and asked
    CHECK(h.account->look().how == standing::agrees);
}

TEST_CASE("who was not told to publish only asks") {
    house h;
    h.publish = false;
    h.restart();
    CHECK(h.after(0s) == standing::absent);
    CHECK(h.net.told == 0);
    h.net.take(h.account->own().last());
    CHECK(h.after(61min) == standing::agrees);
}

TEST_CASE("an update made elsewhere and a recovery are taken over, and what was wanted is said again on top of them") {
    house h;
    const crypto::secret top = crypto::generate(curve::k256);
    h.says.recovery = {crypto::public_of(curve::k256, top).value().did_key()};
    h.restart();
    CHECK(h.settle() == standing::agrees);
    const auto before = h.account->own().last();
    h.says.handle = "mine.example";
    h.net.now_is = fake_directory::trouble::down;
    h.restart(); // an operation that nobody has heard of
    auto services = *before.find("services")->as<value::map>();
    services["labeler"] = value::map{{"type", "Labeler"}, {"endpoint", "https://labels.example"}};
    REQUIRE(h.net.take(plc::change(before, {{"services", services}}, top).value())); // and another in its place
    h.net.now_is = fake_directory::trouble::none;
    CHECK(h.after(61min) == standing::replaced);
    CHECK(h.after(61min) == standing::replaced);
    h.restart();
    CHECK(h.account->own().document.handles == std::vector<std::string>{"mine.example"});
    CHECK(h.account->own().document.services.at(0).id == "labeler");
    CHECK(h.settle() == standing::agrees);
    // A recovery: what we told is nullified.
    REQUIRE(h.net.take(plc::change(before, {{"alsoKnownAs", value::list{"at://safe.example"}}, {"rotationKeys", value::list{h.says.recovery[0]}}}, top).value()) == false); // same rank as the one before
    auto mine = h.account->own().last();
    REQUIRE(h.net.take(plc::change(mine, {{"rotationKeys", value::list{h.says.recovery[0]}}}, top).value()));
    CHECK(h.after(61min) == standing::replaced);
    h.says.handle = "more.example";
    h.restart();
    CHECK_FALSE(h.account->look().as_wanted); // our key was taken out: nothing can be changed from here
    CHECK(h.account->own().document.handles == std::vector<std::string>{"mine.example"});
    CHECK(h.settle() == standing::agrees);
}

TEST_CASE("given up is given up") {
    house h;
    h.settle();
    REQUIRE(h.net.take(plc::tombstone(h.account->own().last(), h.alice.rotation).value()));
    CHECK(h.after(61min) == standing::given_up);
    h.restart();
    CHECK(h.account->look().how == standing::given_up);
    CHECK_FALSE(h.account->look().as_wanted);
}

TEST_CASE("a directory that lies changes nothing") {
    house h;
    h.settle();
    const auto kept = tls::read_file(h.home / "plc.json");
    const auto good = h.net.log;
    const person eve;
    const auto lie = [&](const value::list& log) {
        h.net.log = log;
        const auto how = h.after(61min);
        CHECK(tls::read_file(h.home / "plc.json") == kept);
        h.net.log = good;
        return how;
    };
    auto forged = good;
    forged.push_back(value::map{{"did", h.net.did()}, {"operation", signed_by(changed(h.account->own().last(), "eve.example"), eve.rotation)}, {"nullified", false}, {"createdAt", "2040-01-01T00:00:00.000Z"}});
    (*forged.back().as<value::map>())["cid"] = cid_of(*forged.back().find("operation")).text();
    CHECK(lie(forged) == standing::agrees); // as it was when it last said anything that verifies
    CHECK(h.account->look().why.find("does not verify") != std::string::npos);
    fake_directory other;
    other.take(plc::genesis(eve.about(), eve.rotation));
    lie(other.log);
    CHECK(h.after(61min) == standing::agrees);
    CHECK(h.account->look().why.empty());
}

TEST_CASE("a log kept in the old form is read, a damaged one stops the start") {
    house h;
    const auto genesis = h.account->own().last();
    tls::write_secret(h.home / "plc.json", to_json(value(value::list{genesis})));
    h.restart();
    CHECK(h.account->own().last() == genesis);
    CHECK(h.settle() == standing::agrees);
    for (const auto* bad : {"", "[]", "{}", "[1]", "[{\"type\":\"plc_operation\"}]"}) {
        tls::write_secret(h.home / "plc.json", bad);
        CHECK_THROWS(h.restart());
    }
}

} // TEST_SUITE
