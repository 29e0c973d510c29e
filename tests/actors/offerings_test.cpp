// Who sells: what is said to everyone, what is read of it, what is kept, and what it is worth asking.
#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/offerings/crier.hpp>
#include <souk/actors/offerings/finder.hpp>
#include <souk/actors/signer/signer.hpp>

using namespace souk;

namespace {

const std::string bob = "did:plc:bob", eve = "did:plc:eve", nsid(market::offering::nsid);
const instant today{std::chrono::seconds{1'778'312'530}};

value record(const std::string& door = "https://bob.example", const std::string& cost = "0.06") {
    return value::map{{"$type", nsid}, {"endpointUrl", door}, {"appliesTo", value::list{"com.publicdomainrelay.ccrfp", "com.publicdomainrelay.temp.compute.vm"}},
                      {"createdAt", "2026-05-09T07:00:00Z"}, {"refreshedAt", "2026-05-09T07:40:00Z"}, {"largest", value::map{{"cpus", 4}, {"mem", "4G"}, {"disk", "100G"}}},
                      {"cost", cost}, {"currency", "USDC"}, {"frequency", "hourly"}, {"attestation", "none"}, {"location", value::map{{"country", "SE"}}}};
}
value with(value v, const std::string& field, value x) {
    v.as<value::map>()->insert_or_assign(field, std::move(x));
    return v;
}
stored_record of(const std::string& did, value v, const std::string& rkey = "3mlf7tjlfjr2d") { return stage::record_of(did, nsid, rkey, std::move(v)); }
result<offering_view> read(const value& v, instant now = today) {
    const auto r = of(bob, v);
    return offerings::read_offering(r.uri, r.ref(), r.value, now);
}
offering_view seen(const std::string& did, std::int64_t amount = 60'000, const std::string& door = "") {
    auto v = read(record()).value();
    v.did = did, v.amount = amount, v.service = door.empty() ? "https://" + did.substr(8) + ".example" : door;
    return v;
}
ccrfp request(std::int64_t cpus = 1) {
    ccrfp r;
    r.cpus = cpus, r.mem = "512M", r.disk = "1G", r.network = "1G", r.role = "web", r.user_data = "#cloud-config\n";
    return r;
}
sellers_query want(const ccrfp& r, std::int64_t ceiling = 0, const std::string& tier = "") { return {std::string(ccrfp::nsid), encode_dag_cbor(to_record(r)), ceiling, tier}; }

} // namespace

// -- what an offering says -----------------------------------------------------------------------------------------------------

TEST_CASE("an offering is read with what it does not say left open, and refused where it says nonsense") {
    const auto v = read(record()).value();
    CHECK(v.service == "https://bob.example");
    CHECK(v.cpus == 4);
    CHECK(v.mem_mib == 4096);
    CHECK(v.amount == 60'000);
    CHECK(v.slice == 3600);
    CHECK(v.expires == today + offerings::counts_for);
    CHECK(read(with(record(), "expiresAt", "2026-05-09T08:00:00Z"))->expires < today + 1h);
    const value bare = value::map{{"$type", nsid}, {"endpointUrl", "did:plc:bob#pdr_temp_market"}, {"appliesTo", value::list{"com.publicdomainrelay.temp.compute.vm"}}, {"createdAt", "2026-05-09T07:00:00Z"}, {"another", 1}};
    CHECK(read(bare)->slice == 0); // the fourth generation's own, grown by a field
    CHECK(code(read(with(record(), "expiresAt", "2026-05-09T07:42:10Z"))) == "offering_over");
    for (const auto* door : {"", "ftp://bob.example", "bob.example", "did:plc:bob", "did:plc:bob#", "https://"}) CHECK(code(read(record(door))) == "bad_service");
    CHECK(code(read(record("https://" + std::string(2048, 'x')))) == "bad_service");
    CHECK(code(read(record("https://bob.example", "free"))) == "bad_offering");
    CHECK(code(read(with(record(), "largest", value::map{{"cpus", 4}, {"mem", "much"}, {"disk", "1G"}}))) == "bad_offering");
    CHECK(code(read(with(record(), "appliesTo", value::list{}))) == "invalid_record");
    CHECK(code(read(with(record(), "appliesTo", value::list(65, value("com.example.thing"))))) == "invalid_record");
}

TEST_CASE("of several offerings of one author, the one that was renewed last counts, if it can be read") {
    const auto older = of(bob, record("https://old.example"), "3aaaaaaaaaaaa");
    const auto newer = of(bob, with(record("https://new.example"), "refreshedAt", "2026-05-09T09:40:00+02:00"), "3bbbbbbbbbbbb"); // the same moment, elsewhere
    const auto newest = of(bob, with(record("https://newest.example"), "refreshedAt", "2026-05-09T07:41:00Z"), "3ccccccccccccc");
    const auto broken = of(bob, with(record("nowhere"), "refreshedAt", "2026-05-09T07:42:00Z"), "3dddddddddddd");
    CHECK(offerings::newest_of({older, newest, broken, newer}, today)->cid == newest.cid);
    CHECK_FALSE(offerings::newest_of({broken}, today));
    CHECK_FALSE(offerings::newest_of({}, today));
}

TEST_CASE("a request is worth sending where size, price, place and tier fit, or are not said") {
    const auto o = seen(bob);
    const auto fits = [&](const sellers_query& q) { return offerings::may_sell(o, offerings::wanted_of(q).value()); };
    CHECK(fits(want(request())));
    CHECK_FALSE(fits(want(request(5))));
    CHECK(fits(want(request(), 60'000)));
    CHECK_FALSE(fits(want(request(), 59'999)));
    CHECK_FALSE(fits(want(request(), 0, "hardware")));
    auto r = request();
    r.location = place{"SE", "north"};
    CHECK(fits(want(r))); // he does not say where in it
    r.location = place{"DE", {}};
    CHECK_FALSE(fits(want(r)));
    r = request(), r.mem = "5G";
    CHECK_FALSE(fits(want(r)));
    auto q = want(request());
    q.payload = "com.publicdomainrelay.temp.ccrfp";
    CHECK_FALSE(fits(q)); // he answers in other generations
    offering_view bare;
    bare.applies_to = {std::string(ccrfp::nsid)};
    CHECK(offerings::may_sell(bare, offerings::wanted_of(want(request(64), 1, "hardware")).value()));
}

// -- what is kept --------------------------------------------------------------------------------------------------------------

TEST_CASE("a superseded offering does not come back, whatever an old host says") {
    offerings::directory d;
    using took = offerings::directory::took;
    CHECK(d.put(seen(bob, 2), "3b", "h", today) == took::kept);
    CHECK(d.put(seen(bob, 1), "3a", "h", today) == took::older);
    CHECK(d.find(bob)->amount == 2);
    CHECK(d.put(seen(bob, 3), "3b", "h", today) == took::kept); // the same commit: read again
    d.remove(bob, today);
    CHECK_FALSE(d.find(bob));
    CHECK(d.put(seen(bob, 2), "3b", "h", today) == took::older); // taken back since then
    CHECK(d.put(seen(bob, 4), "3c", "h", today) == took::kept);
    CHECK(d.all(today + offerings::counts_for).empty());
    d.forget_old(today + offerings::counts_for);
    CHECK(d.size() == 0);
}

TEST_CASE("a host of many authors keeps nobody out but its own") {
    offerings::directory d(10);
    for (int i = 0; i < 100; ++i) d.put(seen("did:plc:crowd" + std::to_string(i)), "3a", "https://crowd.example", today);
    CHECK(d.size() == 10);
    CHECK(d.turned_away() == 90);
    CHECK(d.given_up() == 0);
    for (int i = 0; i < 5; ++i) CHECK(d.put(seen("did:plc:one" + std::to_string(i)), "3a", "https://h" + std::to_string(i), today) == offerings::directory::took::kept);
    CHECK(d.size() == 10);
    CHECK(d.given_up() == 5); // each of the crowd's
    for (int i = 0; i < 5; ++i) CHECK(d.find("did:plc:one" + std::to_string(i)));
}

// -- finding -------------------------------------------------------------------------------------------------------------------

namespace {

struct searching : virtual_time {
    std::map<std::string, proved_offering> there;
    std::map<std::string, refusal> broken;
    std::map<std::string, int> reads;
    stage::tray out;
    offerings_actor finder;

    searching() {
        finder_options o;
        o.self = "did:plc:alice", o.now = clock(), o.most = 100, o.most_waiting = 50;
        finder = keep(spawn_finder(sys, o, [this](const std::string& did, auto then) {
            ++reads[did];
            result<proved_offering> said = there.contains(did) ? result<proved_offering>(there[did]) : proved_offering{"h", "", {}};
            if (broken.contains(did)) said = broken[did];
            out.give([then, said] { then(said); });
        }));
    }
    void says(const std::string& did, value v, const std::string& rev = "3a") { there[did] = {"h" + did, rev, of(did, std::move(v))}; }
    void hear(const std::string& did) { tell(finder, record_note{"at://" + did + '/' + nsid + "/x", "", {}}), sched.run(); }
    offerings_view all() { return answer<offerings_view>(finder, offerings_query{}); }
    std::vector<seller_service> sellers(const sellers_query& q) { return answer<sellers_view>(finder, q).all; }
};

} // namespace

TEST_CASE_FIXTURE(searching, "who is told of is read, and what he says is kept until he says otherwise") {
    says(bob, record());
    hear(bob);
    REQUIRE(all().all.size() == 1);
    CHECK(all().all[0].did == bob);
    CHECK(sellers(want(request())) == std::vector<seller_service>{{bob, "https://bob.example"}});
    pass(10s);
    says(bob, record("https://bob.example", "0.07"), "3b");
    hear(bob);
    CHECK(all().all.at(0).amount == 70'000);
    pass(10s);
    there.erase(bob); // withdrawn
    hear(bob);
    CHECK(all().all.empty());
    CHECK(sellers(want(request())).empty());
    hear("did:plc:alice");
    CHECK(reads["did:plc:alice"] == 0); // it does not buy from itself
}

TEST_CASE_FIXTURE(searching, "an offering that lies about its author is nobody's") {
    there[eve] = {"h", "3a", of(bob, record("https://eve.example"))};
    hear(eve);
    CHECK(all().all.empty());
    CHECK(all().unread == 1);
    CHECK_FALSE(all().known);
    tell(finder, record_note{"at://" + eve + "/com.example.other/x", "", {}});
    tell(finder, record_note{"nonsense", "", {}});
    sched.run();
    CHECK(reads[eve] == 1);
}

TEST_CASE_FIXTURE(searching, "an author who floods the stream is looked at now and then, and a crowd waits its turn or is passed over") {
    says(bob, record());
    for (int i = 0; i < 1'000; ++i) hear(bob);
    CHECK(reads[bob] == 1);
    pass(5s);
    CHECK(reads[bob] == 2);
    out.hold = true;
    for (int i = 0; i < 100; ++i) hear("did:plc:c" + std::to_string(i));
    CHECK(out.waiting() == 8);
    CHECK(all().passed_over == 42); // 8 are read, 50 wait
    out.release();
    sched.run();
    CHECK(all().unread == 0);
    CHECK(reads["did:plc:c57"] == 1);
}

TEST_CASE_FIXTURE(searching, "a host that does not answer says nothing: what was proved stands until its time is over") {
    says(bob, with(record(), "expiresAt", "2026-05-09T08:42:10Z"));
    hear(bob);
    pass(10s);
    broken[bob] = {"record_unreachable", "away"};
    hear(bob);
    for (int i = 0; i < 30; ++i) pass(10s);
    CHECK(reads[bob] == 5); // four times more, later each time
    CHECK(all().unread == 1);
    CHECK(all().all.size() == 1);
    pass(1h);
    CHECK(all().all.empty());
    CHECK(all().known == 0);
    broken[eve] = {"bad_signature", "by nobody's key"};
    hear(eve);
    pass(1min);
    CHECK(reads[eve] == 1);
}

TEST_CASE_FIXTURE(searching, "a request goes to so many doors, to each once, however many name it") {
    for (int i = 0; i < 40; ++i) says("did:plc:c" + std::to_string(i), record(i < 20 ? "https://victim.example/" : "https://c" + std::to_string(i) + ".example", i < 20 ? "0.01" : "0.05"));
    for (int i = 0; i < 40; ++i) hear("did:plc:c" + std::to_string(i));
    const auto to = sellers(want(request()));
    CHECK(to.size() == finder_options::most_sellers);
    CHECK(std::count_if(to.begin(), to.end(), [](const auto& s) { return s.service == "https://victim.example"; }) == 1);
    CHECK(to.front().service == "https://victim.example"); // the cheapest first
}

// -- saying --------------------------------------------------------------------------------------------------------------------

namespace {

struct market_stall : virtual_time {
    stage::repository shelf{bob};
    stage::party key{bob};
    stage::journal log;
    fleet_view hosts;
    std::unique_ptr<offering_world> world;
    caf::actor crier;

    void start(bool offers = true) {
        const auto signer = keep(spawn_signer(sys, {bob, clock()}, shelf, key.key));
        fleet_actor fleet = sys.spawn([this](fleet_actor::pointer, none_needed) -> fleet_actor::behavior_type {
            return {[](const room_request&) { return room_answer{}; }, [](const machine_start&) { return machine_view{}; }, [](const machine_end&) { return machine_view{}; },
                    [](const machine_query&) { return machine_list{}; }, [](const console_query&) { return console_view{}; },
                    [this](const host_query&) { return hosts; }, [](const drain_host&) { return host_view{}; }};
        }, none_needed{});
        keep(fleet);
        world = std::make_unique<offering_world>(sys, signer);
        crier_options o;
        o.did = bob, o.offers = offers, o.now = clock();
        o.terms = {"https://bob.example", "0.06", "USDC", "hourly", {}, "none", place{"SE", {}}};
        crier = keep(spawn_crier(sys, o, fleet, log, *world));
        settle(1);
    }
    void settle(int looks) {
        for (int i = 0; i < looks; ++i) pass(10s);
    }
    void host(const std::string& name, std::int64_t cpus, bool draining = false) {
        std::erase_if(hosts.hosts, [&](const host_view& h) { return h.host == name; });
        host_view h;
        h.host = name, h.cpus = cpus, h.mem_mib = 4096, h.disk_mib = 65'536, h.draining = draining;
        hosts.hosts.push_back(h);
    }
    std::optional<stored_record> offered() const { return shelf.get(nsid, offerings::key_of(bob)); }
    std::int64_t cpus() const { return *offered()->value.find("largest")->find("cpus")->as<std::int64_t>(); }
    ~market_stall() { caf::anon_send_exit(crier, caf::exit_reason::kill), sched.run(); }
};

} // namespace

TEST_CASE_FIXTURE(market_stall, "what the fleet has is offered under one key, follows the fleet when a change lasts, and is taken back when nothing is left") {
    start();
    CHECK_FALSE(offered()); // there is nothing to sell
    host("a", 4);
    settle(1);
    REQUIRE(offered());
    CHECK(cpus() == 4);
    CHECK(offerings::read_offering(offered()->uri, offered()->ref(), offered()->value, now).has_value());
    const auto made = std::string(offered()->value.text("createdAt"));
    host("b", 16);
    settle(1);
    CHECK(cpus() == 4); // it may only be passing by
    settle(4);
    CHECK(cpus() == 16);
    CHECK(offered()->value.text("createdAt") == made);
    const auto first = offered()->cid;
    host("b", 16, true);
    settle(1);
    host("b", 16);
    settle(5);
    CHECK(offered()->cid == first); // it was drained for a moment: no news
    host("a", 4, true), host("b", 16, true);
    settle(5);
    CHECK_FALSE(offered());
    host("a", 4);
    settle(1);
    CHECK(cpus() == 4);
}

TEST_CASE_FIXTURE(market_stall, "an offering is renewed before it is over") {
    host("a", 4);
    start();
    REQUIRE(offered());
    const auto until = std::string(offered()->value.text("expiresAt"));
    for (int i = 0; i < 7 * 60; ++i) pass(1min);
    CHECK(offered()->value.text("expiresAt") > until);
    CHECK(offerings::read_offering(offered()->uri, offered()->ref(), offered()->value, now).has_value());
}

TEST_CASE_FIXTURE(market_stall, "a seller who does not want to be found takes back what he said before") {
    host("a", 4);
    start();
    REQUIRE(offered());
    caf::anon_send_exit(crier, caf::exit_reason::kill);
    sched.run();
    start(false);
    settle(1);
    CHECK_FALSE(offered());
}
