#include "../backends/loopback.hpp"

#include <souk/backends/http/server.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/runtime/back_fill.hpp>

using namespace souk;
using namespace loopback;

namespace {

const std::string notes = "com.example.note";
const instant now{std::chrono::hours{500'000}};
std::string key_at(instant when) { return to_tid(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count()), 1); }

// What everyone has published, as if it had been fetched and verified.
struct shelves final : record_network {
    std::map<std::string, std::vector<stored_record>> all; // newest first
    std::mutex guard;
    void come(const std::string& did, const std::string& rkey) { // while somebody looks
        const std::lock_guard hold(guard);
        put(did, rkey);
    }
    void put(const std::string& did, const std::string& rkey) {
        const value what = value::map{{"$type", notes}, {"text", rkey}};
        all[did].insert(all[did].begin(), stored_record{{did, notes, rkey}, cid::of_dag_cbor(encode_dag_cbor(what)), what, 0, false, false});
    }
    void fetch(const strong_ref&, std::function<void(result<stored_record>)> then) override { then(refusal{"record_not_found", ""}); }
    void list(const std::string& did, const std::string& collection, std::function<void(result<std::vector<stored_record>>)> then) override {
        const std::lock_guard hold(guard);
        if (!all.contains(did)) return then(refusal{"record_unreachable", "its host does not answer"});
        then(collection == notes ? all[did] : std::vector<stored_record>());
    }
    void keys(const std::string&, std::function<void(result<did_document>)> then) override { then(refusal{"did_unresolved", ""}); }
};

struct relay {
    bool by_collection = true;
    std::vector<std::string> dids;
    std::unique_ptr<http::server> door;
    relay() {
        http::handler h;
        h.answer = [this](http::request r, http::responder say) {
            const bool wanted = r.path.ends_with(by_collection ? "listReposByCollection" : "listRepos");
            if (!wanted) return say(http::json_response(501, R"({"error":"MethodNotImplemented"})"));
            // One a page.
            const auto at = r.param("cursor").empty() ? 0 : std::stoul(std::string(r.param("cursor")));
            value::map m{{"repos", at < dids.size() ? value::list{value::map{{"did", dids[at]}}} : value::list{}}};
            if (at < dids.size()) m.emplace("cursor", std::to_string(at + 1));
            say(http::json_response(200, to_json(m)));
        };
        door = std::make_unique<http::server>(http::server_options{}, h);
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(door->port()); }
};

struct filled {
    relay host;
    shelves net;
    http::client web{[] { http::client_options o; o.allow_private = true; return o; }()};
    inbox<std::string> told;
    std::unique_ptr<back_fill> fill;
    void start() {
        fill = std::make_unique<back_fill>(web, net, back_fill::options{host.url(), {notes}, std::chrono::hours{24}, [] { return now; }}, [this](const stored_record& r) { told.put(r.uri.did + ' ' + r.uri.rkey); });
    }
};

} // namespace

TEST_CASE_FIXTURE(filled, "after a gap, what everyone published lately is told, oldest first; old news is not") {
    host.dids = {"did:web:alice.example", "did:web:gone.example", "did:web:bob.example"};
    const auto old = key_at(now - std::chrono::hours{25}), first = key_at(now - std::chrono::hours{2}), second = key_at(now - std::chrono::hours{1});
    for (const auto& rkey : {old, first, second}) net.put("did:web:alice.example", rkey);
    net.put("did:web:bob.example", "did:web:eve.example"); // a key that is no time: an opinion, and it holds however old it is
    start();
    fill->everyone();
    CHECK(told.take() == "did:web:alice.example " + first);
    CHECK(told.take() == "did:web:alice.example " + second);
    CHECK(told.take() == "did:web:bob.example did:web:eve.example");
    CHECK(soon([&] { return fill->so_far().accounts == 3; }));
    CHECK(fill->so_far().unread == 1); // and the others were read all the same
    CHECK(told.size() == 0);
}

TEST_CASE_FIXTURE(filled, "a host that does not know collections is asked for everyone") {
    host.by_collection = false, host.dids = {"did:web:alice.example"};
    net.put("did:web:alice.example", key_at(now));
    start();
    fill->everyone();
    CHECK(told.take() == "did:web:alice.example " + key_at(now));
}

TEST_CASE_FIXTURE(filled, "who cannot be read just now is read when he can be, over a restart too; who never can be ages out") {
    directory home;
    std::mutex guard;
    instant at = now; // virtual: moved by the test
    const auto clock = [&] {
        const std::lock_guard hold(guard);
        return at;
    };
    const auto pass = [&](std::chrono::milliseconds how_long) {
        {
            const std::lock_guard hold(guard);
            at += how_long;
        }
        fill->look();
    };
    const auto open = [&] {
        fill = std::make_unique<back_fill>(web, net, back_fill::options{host.url(), {notes}, std::chrono::hours{24}, clock, home / "unread"},
                                           [this](const stored_record& r) { told.put(r.uri.did + ' ' + r.uri.rkey); });
    };
    open();
    fill->account("did:web:alice.example");
    fill->account("did:web:never.example");
    CHECK(soon([&] { return fill->so_far().failing == 2; }));
    CHECK(fill->so_far().unread == 2);
    fill.reset();
    net.come("did:web:alice.example", key_at(now)); // her DID resolves now
    open();
    CHECK(told.take() == "did:web:alice.example " + key_at(now));
    CHECK(soon([&] { return fill->so_far().waiting == 1; }));
    for (int hour = 0; hour < 25; ++hour) {
        const auto before = fill->so_far().unread;
        pass(std::chrono::hours{1});
        CHECK(soon([&] { return fill->so_far().unread > before || fill->so_far().given_up == 1; }));
    }
    CHECK(soon([&] { return fill->so_far().given_up == 1; }));
    CHECK(fill->so_far().waiting == 0);
    CHECK(told.size() == 0);
}

TEST_CASE_FIXTURE(filled, "a crowd of accounts waits within its bound, and one that waits already does not wait twice") {
    std::mutex held;
    std::unique_lock hold(held);
    net.put("did:web:slow.example", key_at(now));
    inbox<int> begun;
    fill = std::make_unique<back_fill>(web, net, back_fill::options{host.url(), {notes}, std::chrono::hours{24}, [] { return now; }}, [&](const stored_record&) {
        begun.put(1);
        const std::lock_guard wait(held);
    });
    fill->account("did:web:slow.example");
    (void)begun.take(); // the rest waits behind it
    const auto one = [](std::size_t i) { return "did:web:n" + std::to_string(i) + ".example"; };
    for (std::size_t i = 0; i < back_fill::most_accounts + 100; ++i) fill->account(one(i));
    for (int i = 0; i < 10; ++i) fill->account(one(7));
    CHECK(fill->so_far().passed_over == 101); // whoever is being read is one of those who have a place
    hold.unlock();
    CHECK(soon([&] { return fill->so_far().accounts == back_fill::most_accounts; }));
}
