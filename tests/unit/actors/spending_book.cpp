#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <souk/actors/requester/spending_book.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant begin{1'700'000'000s};

// One stream in memory, which answers on the spot, when it is told to, or that it does not know.
class small_journal final : public journal {
public:
    void append(append_request what, done tell) override {
        const std::lock_guard hold(guard_);
        if (unsure) return later.push_back([tell] { tell({stored::unknown, {}}); });
        append_answer a;
        if (what.expected != kept.last()) a = {stored::conflict, kept};
        else {
            a.how = stored::yes;
            for (auto& e : what.events) kept.facts.push_back({what.at, std::move(e)});
            if (what.snapshot) kept.snapshot_at = kept.last(), kept.snapshot = *what.snapshot, kept.facts.clear();
        }
        later.push_back([tell, a] { tell(a); });
    }
    void open_streams(std::string_view, const visitor& see) override {
        if (kept.last() > 0) see("all", kept);
    }
    history past(std::string_view, const std::string&) override { return kept; }
    std::vector<std::string> newest(std::string_view, std::size_t) override { return {}; }
    std::uint64_t ended(const std::vector<std::string_view>&, std::uint64_t mark, std::size_t, const visitor&) override { return mark; }
    void run() { // what was appended is answered
        for (;;) {
            std::vector<std::function<void()>> now;
            {
                const std::lock_guard hold(guard_);
                now.swap(later);
            }
            if (now.empty()) return;
            for (auto& f : now) f();
        }
    }

    history kept;
    bool unsure = false;
    std::vector<std::function<void()>> later;

private:
    std::mutex guard_;
};

struct stage {
    small_journal log;
    instant now = begin;
    std::shared_ptr<spending_book> open(const spending_limits& by) {
        return std::make_shared<spending_book>(log, by, [this] { return now; });
    }
};
std::function<void(result<void>)> into(std::string& said) {
    return [&said](const result<void>& r) { said = r ? "yes" : r.error().code; };
}

} // namespace

TEST_CASE("yes is said when it is durable, and a start knows what was said") {
    stage at;
    const spending_limits by{0, 0, 100, 0, {}};
    auto book = at.open(by);
    std::string first, second, third;
    book->hold({"a", "bob", 60, begin}, into(first));
    book->hold({"b", "bob", 60, begin}, into(second)); // waits for the first: together they are too much
    CHECK(first.empty());
    CHECK(second.empty());
    at.log.run();
    CHECK(first == "yes");
    CHECK(second == "spending_limit");
    book = at.open(by);
    book->hold({"b", "bob", 60, begin}, into(third));
    at.log.run();
    CHECK(third == "spending_limit");
    CHECK(book->used("bob").at(0).left() == 40);
    book->hold({"a", "bob", 60, begin}, into(third)); // as it was: said at once
    CHECK(third == "yes");
    book->release("a");
    at.log.run();
    CHECK(at.open(by)->used("bob").at(0).left() == 100);
}

TEST_CASE("what the journal does not confirm is no yes, nor is anything after it, until a start has read what is so") {
    stage at;
    const spending_limits by{0, 0, 100, 0, {}};
    auto book = at.open(by);
    at.log.unsure = true;
    std::string first, second;
    book->hold({"a", "bob", 60, begin}, into(first));
    at.log.run();
    CHECK(first == "not_now");
    at.log.unsure = false;
    book->hold({"b", "bob", 1, begin}, into(second));
    at.log.run();
    CHECK(second == "not_now");
    book = at.open(by);
    book->hold({"b", "bob", 1, begin}, into(second));
    at.log.run();
    CHECK(second == "yes");
}

TEST_CASE("facts of before that it had not read are decided by") {
    stage at;
    const spending_limits by{0, 0, 100, 0, {}};
    const auto book = at.open(by), other = at.open(by);
    std::string first, second;
    other->hold({"a", "bob", 60, begin}, into(first));
    at.log.run();
    book->hold({"b", "bob", 60, begin}, into(second));
    at.log.run();
    CHECK(first == "yes");
    CHECK(second == "spending_limit");
}

TEST_CASE("many that ask at once have no more than there is, and a snapshot has all of them") {
    stage at;
    const spending_limits by{0, 0, 150, 0, {}};
    auto book = at.open(by);
    std::atomic<int> yes{0}, no{0};
    std::vector<std::thread> all;
    for (int t = 0; t < 4; ++t)
        all.emplace_back([&, t] {
            for (int i = 0; i < 100; ++i) book->hold({std::to_string(t) + '/' + std::to_string(i), "bob", 1, begin}, [&](const result<void>& r) { ++(r ? yes : no); }), at.log.run();
        });
    for (auto& t : all) t.join();
    at.log.run();
    CHECK(yes == 150);
    CHECK(no == 250);
    CHECK(at.log.kept.snapshot_at >= 128);
    CHECK(at.open(by)->all().size() == 150);
}
