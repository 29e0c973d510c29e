#include <souk/runtime/followed_hosts.hpp>

#include <fstream>

#include <doctest/doctest.h>

#include <souk/messages/json.hpp>
#include <souk/runtime/bench/scratch.hpp>

using namespace souk;

namespace {

struct crawled {
    bench::scratch files{std::filesystem::temp_directory_path()};
    followed_hosts::options options(std::vector<std::string> allowed = {"pds.example", ".hosts.example"}) const { return {files.path() / "followed.json", std::move(allowed), {"own.example"}, false}; }
};

std::string said(const result<bool>& r) { return r ? (*r ? "new" : "known") : r.error().code; }

} // namespace

TEST_CASE_FIXTURE(crawled, "a host that may ask is followed once, and after a restart still") {
    {
        followed_hosts h(options());
        CHECK(said(h.ask("PDS.example")) == "new");
        CHECK(said(h.ask("pds.example")) == "known");
        CHECK(said(h.ask("a.hosts.example")) == "new");
        CHECK(said(h.ask("hosts.example")) == "HostBanned");
        CHECK(said(h.ask("evil-hosts.example")) == "HostBanned");
        CHECK(said(h.ask("other.example")) == "HostBanned");
    }
    CHECK(followed_hosts(options()).all() == std::vector<std::string>{"https://a.hosts.example", "https://pds.example"});
    CHECK(followed_hosts(options({"pds.example"})).all() == std::vector<std::string>{"https://pds.example"}); // the other may no more
    CHECK(followed_hosts(options({})).all().empty());
    CHECK(said(followed_hosts(options({"*"})).ask("own.example")) == "known");
}

TEST_CASE_FIXTURE(crawled, "what is no host's name is not followed, whoever may ask") {
    followed_hosts h(options({"*"}));
    for (const auto* name : {"", "localhost", "127.0.0.1", "10.0.0.1", "[::1]", "https://pds.example", "pds.example/x", "pds.example:443", "a b.example", "user@pds.example", "169.254.169.254"})
        CHECK_MESSAGE(said(h.ask(name)) == "InvalidRequest", name);
    CHECK(said(h.ask(std::string(300, 'a') + ".example")) == "InvalidRequest");
    auto o = options({"*"});
    o.development = true;
    followed_hosts at_home(o);
    CHECK(said(at_home.ask("localhost:8080")) == "new");
    CHECK(said(at_home.ask("127.0.0.1:8080")) == "InvalidRequest");
    CHECK(said(at_home.ask("localhost:80x")) == "InvalidRequest");
}

TEST_CASE_FIXTURE(crawled, "no more hosts than there are places, and a file that is damaged is said") {
    followed_hosts h(options({"*"}));
    for (std::size_t i = 0; i < followed_hosts::most; ++i) CHECK(said(h.ask("h" + std::to_string(i) + ".example")) == "new");
    CHECK(said(h.ask("another.example")) == "not_now");
    CHECK(said(h.ask("h1.example")) == "known");
    CHECK(followed_hosts(options({"*"})).all().size() == followed_hosts::most);
    std::ofstream(files.path() / "followed.json") << "nonsense";
    CHECK_THROWS(followed_hosts(options({"*"})));
}

TEST_CASE_FIXTURE(crawled, "the call answers with a stable code, and says once whom to follow") {
    followed_hosts h(options());
    std::vector<std::string> follow;
    const auto call = [&](const std::string& body) {
        http::request r;
        r.method = "POST", r.body = body;
        const auto a = answer_request_crawl(h, r, [&](const std::string& host) { follow.push_back(host); });
        return std::to_string(a.status) + ' ' + std::string(from_json(a.body)->text("error"));
    };
    CHECK(call(R"({"hostname":"pds.example"})") == "200 ");
    CHECK(call(R"({"hostname":"pds.example"})") == "200 ");
    CHECK(follow == std::vector<std::string>{"https://pds.example"});
    CHECK(call(R"({"hostname":"evil.example"})") == "403 HostBanned");
    CHECK(call(R"({"hostname":7})") == "400 InvalidRequest");
    CHECK(call("nonsense") == "400 InvalidRequest");
    CHECK(call('"' + std::string(5000, 'x') + '"') == "400 InvalidRequest");
}
