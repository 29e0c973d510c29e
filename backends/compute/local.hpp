// What QEMU and the sandbox have in common: machines that are processes of this host, each with a directory below `state`, a lock of
// its own, and a life longer than the node's.
//
//   state/TAG/              0700: whatever the machine needs; `machine.json` once it is started, `running.json` once its SSH answered
//   state/.locks/TAG        held while it is started or ended
#pragma once
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <souk/backends/compute/backend.hpp>
#include <souk/backends/compute/process.hpp>

namespace souk::compute {

struct started { // what machine.json says
    std::string tag, user;
    std::int64_t port = 0; // on this host's loopback
    std::string host_key;  // "" when the console will tell
};
BOOST_DESCRIBE_STRUCT(started, (), (tag, user, port, host_key))

class local_backend : public backend {
public:
    local_backend(std::filesystem::path state, std::chrono::seconds start_within, std::function<instant()> now);
    ~local_backend() override;

    void launch(order, std::function<void(launched)>) final;
    void look(const std::string& tag, std::function<void(report)>) final;
    void terminate(const std::string& tag, std::function<void(report)>) final;
    void list(std::function<void(result<std::vector<std::string>>)>) final;
    std::string console(const std::string& tag, std::size_t last_bytes) const final;

protected:
    struct refused_launch {
        problem kind = problem::never;
        refusal why;
    };
    using preparation = boost::system::result<cell, refused_launch>;

    // Fills the machine's directory, which is there and empty. Sets what is to be found again. The cell's directory, deadline and the
    // helpers for its leads are set by the caller.
    virtual preparation prepare(const order&, const std::filesystem::path& directory, started&) = 0;
    virtual result<void> acceptable(const order&) const = 0; // before anything is touched; refused for ever
    virtual std::string log_name() const = 0;
    virtual void settled(const std::filesystem::path&) {} // its SSH answers
    virtual void swept(const std::string& /*tag*/) {}     // its processes are gone
    void closing(); // to be called first by the destructor of what derives

    std::filesystem::path home(const std::string& tag) const { return state_ / tag; }
    const std::filesystem::path state_;
    const std::function<instant()> now_;

private:
    using cancelled = std::shared_ptr<std::atomic<bool>>;
    void apart(std::function<void()>); // on a thread of its own, which the destructor waits for
    launched do_launch(const order&, const cancelled&);
    std::optional<launched> ensure_started(const order&, const cancelled&, started&); // nothing: it runs, perhaps not ready yet
    std::optional<launched> start_new(const order&, const cancelled&, started&, int lock);
    launched wait_until_ready(const started&, const cancelled&);
    report do_look(const std::string& tag);
    report do_terminate(const std::string& tag);
    bool lives(const std::filesystem::path& directory) const;
    bool being_launched(const std::string& tag);
    void keep_house();

    const std::chrono::seconds start_within_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<bool> closing_{false};
    std::multimap<std::string, cancelled> launching_; // what was asked for before a terminate must not start after it
    std::list<std::thread> threads_;
    std::vector<std::thread::id> finished_;
    std::thread keeper_;
};

} // namespace souk::compute
