#include <doctest/doctest.h>

#include <csignal>
#include <future>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hosts.hpp"

using namespace hosts;

namespace {

// Bob in a process of its own.
class child {
public:
    child(authority& ca, std::uint16_t port) {
        if (!fs::exists(ca.home / "bob.crt")) ca.issue("bob");
        int in[2], out[2];
        REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
        REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
        posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawn_file_actions_adddup2(&files, in[0], 0);
        ::posix_spawn_file_actions_adddup2(&files, out[1], 1);
        std::vector<std::string> words{CLUSTER_NODE, "bob", std::to_string(port), ca.home.path.string(), "alice"};
        std::vector<char*> argv;
        for (auto& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        REQUIRE(::posix_spawn(&pid_, CLUSTER_NODE, &files, nullptr, argv.data(), environ) == 0);
        ::posix_spawn_file_actions_destroy(&files);
        ::close(in[0]), ::close(out[1]);
        stdin_ = in[1];
        std::string said;
        char c = 0;
        while (::read(out[0], &c, 1) == 1 && c != '\n') said += c;
        ::close(out[0]);
        REQUIRE(said.starts_with("ready "));
        port_ = static_cast<std::uint16_t>(std::stoi(said.substr(6)));
    }
    ~child() {
        signal(SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ::close(stdin_);
    }
    void signal(int s) const { ::kill(pid_, s); }
    std::uint16_t port() const { return port_; }

private:
    pid_t pid_ = -1;
    int stdin_ = -1;
    std::uint16_t port_ = 0;
};

struct fixture {
    authority ca;
    std::unique_ptr<child> bob;
    std::unique_ptr<host> alice;
    signer_actor signer; // the handle that has to last

    fixture() {
        bob = std::make_unique<child>(ca, 0);
        auto o = ca.options("alice");
        o.peers = {at("bob", bob->port())};
        alice = std::make_unique<host>(o);
        signer = alice->net->find<signer_actor>("signer");
        REQUIRE(alice->up_with("bob", "signer"));
        REQUIRE(alice->ask(signer, "first") == "bob signed first");
    }
    // A request that Bob takes and does not answer; ready when it failed.
    std::future<std::string> waiting() {
        auto failed = std::async(std::launch::async, [this] { return alice->ask(signer, "wait", 60'000ms); });
        CHECK(alice->ask(signer, "after it") == "bob signed after it"); // so it is under way
        return failed;
    }
};
using clock = std::chrono::steady_clock;

} // namespace

TEST_CASE("when a peer's process is killed, what was asked of it fails at once, and the same handle leads to it when it is back") {
    fixture f;
    auto failed = f.waiting();
    const auto port = f.bob->port();
    const auto from = clock::now();
    f.bob->signal(SIGKILL);
    REQUIRE(failed.wait_for(patience) == std::future_status::ready);
    CHECK(clock::now() - from < 500ms);
    CHECK(failed.get().starts_with("failed: system_error(cannot_connect_to_node"));
    REQUIRE(f.alice->down("bob"));
    const auto asked = clock::now();
    CHECK(f.alice->ask(f.signer, "anybody there?").starts_with("failed: system_error(cannot_connect_to_node"));
    CHECK(clock::now() - asked < 200ms);
    CHECK(f.alice->net->so_far().failed_requests == 2);

    f.bob.reset();
    f.bob = std::make_unique<child>(f.ca, port);
    REQUIRE(f.alice->up_with("bob", "signer"));
    CHECK(f.alice->ask(f.signer, "again") == "bob signed again");
}

TEST_CASE("a peer that is frozen is noticed, and taken back when it thaws") {
    fixture f;
    auto failed = f.waiting();
    const auto from = clock::now();
    f.bob->signal(SIGSTOP);
    REQUIRE(failed.wait_for(patience) == std::future_status::ready);
    const auto took = clock::now() - from;
    CHECK(took > 700ms); // not for a hiccup
    CHECK(took < 2'000ms); // lost_after is one second
    CHECK(f.alice->until("bob", [](const link_view& v) { return v.state != "up" && !v.why.empty(); }));
    f.bob->signal(SIGCONT);
    REQUIRE(f.alice->up_with("bob", "signer"));
    CHECK(f.alice->ask(f.signer, "thawed") == "bob signed thawed");
}
