// Whose repository is still to be read: in virtual time.
#include <doctest/doctest.h>

#include <algorithm>

#include "../backends/loopback.hpp"

#include <souk/runtime/unread_accounts.hpp>

using namespace souk;
using loopback::directory;

namespace {

std::string who(int n) { return "did:web:n" + std::to_string(n) + ".example"; }

struct reading {
    directory home;
    instant now{std::chrono::hours{500'000}};
    std::chrono::hours no_use{24};
    std::size_t most = 100;
    std::optional<unread_accounts> all;
    reading() { start(); }
    void start() { all.emplace(unread_accounts::options{home / "unread", no_use, most}, now); }
    std::vector<std::string> turns() { // everybody whose turn it is; none of them can be read
        std::vector<std::string> taken;
        while (const auto did = all->take(now)) taken.push_back(*did), all->failed(*did, now);
        return taken;
    }
};

} // namespace

TEST_SUITE("accounts still to be read") {

TEST_CASE_FIXTURE(reading, "who cannot be read is tried again, later each time, and given up when it is no use any more") {
    all->add(who(1), now);
    const auto from = now;
    std::vector<std::chrono::milliseconds> tries;
    while (all->next()) {
        now = std::max(now, *all->next());
        REQUIRE(turns() == std::vector{who(1)});
        tries.push_back(now - from);
        if (all->next()) CHECK(all->take(*all->next() - std::chrono::milliseconds{1}) == std::nullopt); // not before his turn
        REQUIRE(tries.size() < 1'000);
    }
    CHECK(tries[0].count() == 0);
    CHECK(tries[1].count() == 5'000);
    CHECK(tries[2].count() == 15'000);
    CHECK(tries.back() >= no_use);
    CHECK(tries.back() < no_use + std::chrono::minutes{11});
    CHECK(tries.size() > 140); // every ten minutes at last
    CHECK(all->so_far().given_up == 1);
    CHECK(all->so_far().waiting == 0);
    start();
    CHECK(all->take(now) == std::nullopt); // and stays so
}

TEST_CASE_FIXTURE(reading, "whoever is named meanwhile keeps his turn; what is missed while he is read has him read again") {
    all->add(who(1), now);
    CHECK(turns().size() == 1);
    all->add(who(1), now);
    CHECK(turns().empty());
    now += std::chrono::seconds{5};
    REQUIRE(all->take(now) == who(1));
    all->add(who(1), now);
    CHECK(all->take(now) == std::nullopt); // one reading at a time
    all->read(who(1));
    REQUIRE(all->take(now) == who(1));
    all->read(who(1));
    CHECK(all->so_far().waiting == 0);
    CHECK(all->next() == std::nullopt);
}

TEST_CASE_FIXTURE(reading, "those who are new come before those who failed") {
    all->add(who(1), now);
    CHECK(turns().size() == 1);
    now += std::chrono::minutes{1};
    all->add(who(2), now);
    CHECK(all->take(now) == who(2));
    CHECK(all->take(now) == who(1));
}

TEST_CASE_FIXTURE(reading, "a restart forgets nobody, nor for how long he has been waited for") {
    for (int n = 0; n < 10; ++n) all->add(who(n), now);
    CHECK(turns().size() == 10);
    now += std::chrono::minutes{1};
    for (int n = 0; n < 10; ++n) {
        const auto did = all->take(now);
        REQUIRE(did);
        if (*did == who(3) || *did == who(4)) all->read(*did); // the others are being read when the node is killed
    }
    now += no_use;
    start();
    auto again = turns();
    std::sort(again.begin(), again.end());
    CHECK(again.size() == 8);
    CHECK(std::none_of(again.begin(), again.end(), [](const auto& did) { return did == who(3) || did == who(4); }));
    CHECK(all->so_far().given_up == 8);
}

TEST_CASE_FIXTURE(reading, "that everyone is to be read is not forgotten by a restart either, until it is done") {
    all->add_everyone();
    CHECK(all->take(now) == "");
    start();
    REQUIRE(all->take(now) == "");
    all->add(who(1), now); // listed
    all->read("");
    start();
    CHECK(all->take(now) == who(1));
}

TEST_CASE_FIXTURE(reading, "the crowd has its bound: who was tried most makes room, and nobody is let go untried") {
    for (int n = 0; n < 200; ++n) all->add(who(n), now);
    CHECK(all->so_far().waiting == 100);
    CHECK(all->so_far().passed_over == 100);
    CHECK(turns().size() == 100);
    now += std::chrono::seconds{5};
    const auto first = all->take(now);
    REQUIRE(first);
    all->failed(*first, now); // tried twice
    all->add(who(500), now);
    CHECK(all->so_far().waiting == 100);
    CHECK(all->so_far().passed_over == 101);
    const auto rest = turns();
    CHECK(std::count(rest.begin(), rest.end(), who(500)) == 1);
    now += std::chrono::seconds{10};
    const auto later = turns();
    CHECK(std::count(later.begin(), later.end(), *first) == 0);
}

TEST_CASE_FIXTURE(reading, "the file does not grow with what is done, and what is damaged in it is passed over") {
    for (int n = 0; n < 20'000; ++n) {
        all->add(who(n % 7), now);
        while (const auto did = all->take(now)) all->read(*did);
    }
    CHECK(std::filesystem::file_size(home / "unread") < 100'000);
    all->add(who(1), now);
    all.reset();
    std::ofstream(home / "unread", std::ios::app) << "+ nonsense did:web:a.example\n+ 12 nobody\n? 1 did:web:b.example\n- \n+ 5 did:web:n2.exa";
    start();
    CHECK(all->take(now) == who(1));
    CHECK(all->take(now) == "did:web:n2.exa"); // as long as it is a DID, reading him is no harm
    CHECK(all->take(now) == std::nullopt);
    all.emplace(unread_accounts::options{"/nonexistent/unread", no_use, most}, now); // a disk that keeps nothing stops nobody
    all->add(who(1), now);
    CHECK(all->take(now) == who(1));
}

} // TEST_SUITE
