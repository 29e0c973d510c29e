// The books of a node on real files: killed between a fact and its entry, asked and opened beside a rail.
#include <doctest/doctest.h>

#include <future>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/runtime/bench/scratch.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant begin{1'778'312'530s};
const std::string token = "soukdev:ledger/erc20:0xtoken";

template <class T, class Ask>
T heard(Ask ask) {
    std::promise<T> said;
    ask([&said](T x) { said.set_value(std::move(x)); });
    return said.get_future().get();
}
void keep(journal& log, append_request r) {
    const auto a = heard<append_answer>([&](auto then) { log.append(r, then); });
    REQUIRE(a.how == stored::yes);
}

struct files {
    bench::scratch home{std::filesystem::temp_directory_path()};
    instant now = begin;
};

// One process on those files.
struct process {
    sqlite_journal log;
    std::shared_ptr<book::sqlite_store> kept;
    std::shared_ptr<bookkeeper> books;
    explicit process(files& on)
        : log(on.home.path() / "journal.db"), kept(std::make_shared<book::sqlite_store>(on.home.path() / "books.db")),
          books(std::make_shared<bookkeeper>(bookkeeper_options{[&on] { return on.now; }, "0xBob", token, {}}, kept, log)) {
        log.open_streams(payment::kind, [this](const std::string& key, const history& h) { books->changed(key, state_of<payment>(h), std::vector<payment::event>{}); });
        log.open_streams(lease::kind, [this](const std::string& key, const history& h) { books->changed(key, state_of<lease>(h), std::vector<lease::event>{}); });
        while (books->catch_up(2)) {}
    }
    book::page read(book::query q = {}) {
        auto p = heard<result<book::page>>([&](auto then) { books->read(q, then); });
        REQUIRE(p.has_value());
        return std::move(*p);
    }
};

// A contract of Bob's, fact by fact as its entities' engines would have them: what is durable, and whether the books were told before the end.
struct story {
    struct fact {
        std::string kind;
        std::function<void(process&, bool told)> happen;
    };
    std::vector<fact> all;
    std::map<std::string, std::uint64_t> seq;

    template <entity E>
    void add(const std::string& key, typename E::event e) {
        all.push_back({std::string(E::kind), [this, key, e](process& p, bool told) {
            const auto name = std::string(E::kind) + '/' + key;
            const auto before = state_of<E>(p.log.past(E::kind, key));
            const auto after = E::evolve(before, e);
            append_request r{name, seq[name]++, begin + 1s * static_cast<std::int64_t>(seq[name]), {encode_described(e)}, E::is_final(after), {}};
            if (E::is_final(after) || seq[name] % 2 == 0) r.snapshot = encode_described(after);
            keep(p.log, std::move(r));
            if (told) p.books->changed(key, after, std::vector<typename E::event>{e});
        }});
    }
    story() {
        payment::terms t;
        t.authorised = {"0xsig", {"0xAlice", "0xBob", "60000", "0", "1778312830", "0xn"}};
        t.network = "soukdev:ledger", t.asset = "0xTOKEN", t.accept = "bafyaccept", t.value = 60'000, t.valid_before = begin + 300s, t.refundable_until = begin + 24h;
        lease::terms l;
        l.key = "l", l.tenant = "did:web:alice.example";
        const std::string of = "0xalice/0xn", lane_key = "eip155:1/0xtoken/0xsigner";
        lane::job j;
        j.id = "pay/" + of;
        const lane::place at{"0xhash", "0xblock", 7, 50'000, 3'000, true, ""};
        add<lease>("l", lease::considered{l, begin});
        add<lease>("l", lease::taken{{{"at://a/ccba/p", "bafyaccept"}, "did:web:alice.example", {}, {}, "", "", "0xAlice", {}}, begin});
        add<payment>(of, payment::intended{t});
        add<lane>(lane_key, lane::queued{"0xsigner", j});
        add<lane>(lane_key, lane::allotted{j.id, 4, 100'000, begin, begin});
        add<lane>(lane_key, lane::mined{4, j.id, at});
        add<lane>(lane_key, lane::confirmed{4, j.id, at});
        add<payment>(of, payment::confirmed{"0xtx"});
        add<payment>(of, payment::refund_intended{12'345, "enough", begin});
        add<lane>(lane_key, lane::buried{4, j.id, false});
        add<payment>(of, payment::refunded{"0xback"});
        add<lease>("l", lease::ending{"enough", begin, 12'345, begin});
    }
};

struct outcome_of_books {
    std::int64_t entries = 0;
    book::wide wallet = 0, gas = 0;
    std::string party, own, contract_of_gas, why;
    std::size_t open = 0;
    bool operator==(const outcome_of_books&) const = default;
};
outcome_of_books look(process& p) {
    const auto page = p.read();
    outcome_of_books o;
    o.entries = page.entries, o.open = page.open.size();
    for (const auto& b : page.all) {
        if (b.in == book::account::wallet && b.asset == token) o.wallet = b.sum;
        if (b.in == book::account::gas) o.gas = b.sum;
    }
    for (const auto& l : page.lines) {
        if (l.what.what == book::kind::settled) o.party = l.what.party, o.own = l.own;
        if (l.what.what == book::kind::gas) o.contract_of_gas = l.what.contract;
        if (l.what.what == book::kind::refunded) o.why = l.what.why;
    }
    return o;
}

class small_rail final : public payment_rail {
public:
    std::string network() const override { return "soukdev:ledger"; }
    x402::domain token() const override { return {}; }
    std::string asset() const override { return "0xtoken"; }
    void settle(const x402::exact_payload&, std::function<void(settle_answer)> tell) override { tell({}); }
    void look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) override { asked.push_back(a), tell(says); }
    void balance(const std::string&, std::function<void(result<amount>)> tell) override { tell(holds); }
    look_up_answer says;
    amount holds = 0;
    std::vector<x402::authorization> asked;
};
book::spending a_page() { return {"https://shop.example/page", "0xBob", "0xShop", "0xnonce", "soukdev:ledger", "0xtoken", 50, begin + 60s}; }

} // namespace

TEST_SUITE("books") {

TEST_CASE("killed after any fact, with any number of the last ones not told to the books, they come to the same") {
    std::optional<outcome_of_books> usual;
    {
        files on;
        process p(on);
        story s;
        for (const auto& f : s.all) f.happen(p, true);
        usual = look(p);
    }
    CHECK(usual->entries == 5); // promised, settled, refund owed, refunded, gas
    CHECK(usual->wallet == 60'000 - 12'345);
    CHECK(usual->gas == 150'000'000);
    CHECK(usual->party == "did:web:alice.example");
    CHECK(usual->own == "l");
    CHECK(usual->contract_of_gas == "bafyaccept");
    CHECK(usual->why == "enough");
    CHECK(usual->open == 0);
    std::size_t crashes = 0;
    const auto facts = story().all.size();
    for (std::size_t cut = 1; cut <= facts; ++cut)
        for (std::size_t untold = 0; untold <= cut; ++untold) {
            CAPTURE(cut);
            CAPTURE(untold);
            files on;
            story s;
            {
                process p(on);
                for (std::size_t i = 0; i < cut; ++i) s.all[i].happen(p, i + untold < cut);
            }
            process p(on);
            for (std::size_t i = cut; i < facts; ++i) s.all[i].happen(p, true);
            CHECK((look(p) == *usual));
            ++crashes;
        }
    MESSAGE(crashes << " crashes");
}

TEST_CASE("books that are lost are made again out of the journal, even of what was compacted") {
    files on;
    story s;
    std::optional<outcome_of_books> usual;
    {
        process p(on);
        for (const auto& f : s.all) f.happen(p, true);
        usual = look(p);
        while (p.log.compact(begin + 1h) > 0) {}
    }
    for (const char* name : {"books.db", "books.db-wal", "books.db-shm"}) std::filesystem::remove(on.home.path() / name);
    process p(on);
    const auto again = look(p);
    CHECK(again.wallet == usual->wallet);
    CHECK(again.why == usual->why);
    CHECK(again.party == usual->party);
}

TEST_CASE("what was there before is entered once, when nothing is under way; what moves elsewhere shows") {
    files on;
    small_rail rail;
    rail.holds = 1'000;
    const auto wallet = [](process& p) { return look(p).wallet; };
    {
        process p(on);
        REQUIRE(heard<result<void>>([&](auto then) { p.books->promise(a_page(), then); }).has_value());
        p.books->ask(rail);
        CHECK(wallet(p) == 0); // a promise is out: what the rail says may be before or after it
        CHECK(!p.books->has_opened());
        p.books->moved(a_page(), "0xtx");
        rail.holds = 950;
        CHECK(wallet(p) == -50);
        p.books->ask(rail);
        (void)p.read(), (void)p.read();
        CHECK(wallet(p) == 950);
        CHECK(p.books->has_opened());
    }
    process p(on);
    rail.holds = 5'000; // somebody sent some
    p.books->ask(rail);
    (void)p.read(), (void)p.read();
    CHECK(wallet(p) == 950);
    p.books->close();
    p.books->ask(rail);
    CHECK(!heard<result<void>>([&](auto then) { p.books->promise(a_page(), then); }));
}

TEST_CASE("a payment at a door that nobody spoke of again is asked after, and comes true or lapses by the rail's word") {
    for (const bool paid : {true, false}) {
        CAPTURE(paid);
        files on;
        small_rail rail;
        {
            process p(on);
            REQUIRE(heard<result<void>>([&](auto then) { p.books->promise(a_page(), then); }).has_value());
            p.books->ask(rail);
            CHECK(look(p).open == 1);
            CHECK(rail.asked.empty()); // whoever pays may still be told
        }
        process p(on);
        on.now += 31s;
        rail.says = {moved::no, "", begin + 60s, false}; // not yet, and it may still be
        p.books->ask(rail);
        CHECK(look(p).open == 1);
        REQUIRE(rail.asked.size() == 1);
        CHECK(rail.asked[0].from == "0xbob");
        CHECK(rail.asked[0].nonce == "0xnonce");
        CHECK(rail.asked[0].value == "50");
        rail.says = paid ? look_up_answer{moved::yes, "0xtx", begin + 61s, false} : look_up_answer{moved::no, "", begin + 61s, false};
        p.books->ask(rail);
        (void)p.read();
        const auto now = look(p);
        CHECK(now.open == 0);
        CHECK(now.wallet == (paid ? -50 : 0));
        CHECK(now.entries == 2);
    }
}

}
