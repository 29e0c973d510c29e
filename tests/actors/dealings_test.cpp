#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/requester/dealings.hpp>

using namespace souk;

namespace {

const std::string bob = "did:plc:bob";
const instant noon{std::chrono::seconds{1'778'312'530}};

purchase::state over(bool delivered, amount paid, amount refunded, const std::string& who = bob) {
    purchase::state s;
    s.at = purchase::phase::closed;
    purchase::offer o;
    o.bidder = who;
    s.offers = {o}, s.chosen = 0;
    s.accept = {"at://did:plc:alice/com.publicdomainrelay.ccba/p", "bafyaccept"};
    if (delivered) s.started = noon, s.receipt = {"at://" + who + "/com.publicdomainrelay.ccr/r", "bafyreceipt"};
    s.authorised = 100, s.paid = paid, s.refunded = refunded;
    return s;
}

struct books final : journal {
    std::map<std::string, history> all;
    void append(append_request, done) override {}
    void open_streams(std::string_view, const visitor&) override {}
    history past(std::string_view, const std::string& key) override { return all[key]; }
    std::uint64_t ended(const std::vector<std::string_view>&, std::uint64_t mark, std::size_t, const visitor&) override { return mark; }
    std::vector<std::string> newest(std::string_view, std::size_t most) override {
        std::vector<std::string> keys;
        for (const auto& [key, h] : all)
            if (keys.size() < most) keys.push_back(key);
        return keys;
    }
    void keep(const std::string& key, const purchase::state& s) { all[key].snapshot_at = 1, all[key].snapshot = encode_described(s); }
};

} // namespace

TEST_CASE("honoured is what was delivered, broken what was paid for and is neither here nor back; the rest is neither") {
    books log;
    past_dealings d(log);
    CHECK(d.with(bob).honoured == 0);
    d.note("a", over(true, 100, 0)), d.note("b", over(true, 100, 100)), d.note("c", over(false, 100, 40)), d.note("d", over(false, 100, 100)), d.note("e", over(false, 0, 0));
    auto failed = over(false, 0, 0);
    failed.at = purchase::phase::failed;
    d.note("f", failed);
    d.note("g", over(true, 100, 0, "did:plc:carol"));
    CHECK(d.with(bob).honoured == 2);
    CHECK(d.with(bob).broken == 1);
    CHECK(d.with(bob).evidence.size() == 3);
    CHECK(d.with(bob).evidence[0].cid == "bafyaccept"); // the newest first: of what was broken, the accept
    d.note("c", over(false, 100, 40));
    CHECK(d.with(bob).broken == 1); // once each
}

TEST_CASE("one who says that nothing was paid is not believed against his own paid URL") {
    books log;
    past_dealings d(log);
    (void)d.with(bob);
    auto s = over(false, 0, 0);
    s.transaction = "0xtx";
    d.note("a", s);
    CHECK(d.with(bob).broken == 1);
}

TEST_CASE("history begins before this start: it is in the journal, and what ends before the first question is counted once") {
    books log;
    log.keep("a", over(true, 100, 0)), log.keep("b", over(false, 100, 0));
    past_dealings d(log);
    d.note("a", over(true, 100, 0));
    CHECK(d.with(bob).honoured == 1);
    CHECK(d.with(bob).broken == 1);
}
