// What the two doors share: the routes, the counts that the limits are held against, and the threads that run both.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <libssh/server.h>

#include <souk/backends/tunnel/broker.hpp>

namespace souk::tunnel {

namespace asio = boost::asio;
using boost::system::error_code;
using strand = asio::strand<asio::io_context::executor_type>;
using steady = std::chrono::steady_clock;

class session;

// Label -> live tunnel, and who holds how much of what is limited. Any thread.
class switchboard {
public:
    std::shared_ptr<session> route(const std::string& label) const;
    bool held_by_another(const std::string& label, const std::string& did) const;
    void put(const std::string& label, const std::string& did, const std::shared_ptr<session>&); // the newest takes it over
    bool remove(const std::string& label, const session* owner); // true: it led there, and now leads nowhere

private:
    struct entry {
        std::weak_ptr<session> to;
        const session* owner = nullptr;
        std::string did;
    };
    mutable std::mutex mutex_;
    std::map<std::string, entry> routes_;
};

// So many for one name (an address, an account) and so many in all. Any thread.
class tally {
public:
    tally(std::size_t all, std::size_t each) : all_(all), each_(each) {}
    bool enter(const std::string& name);
    void leave(const std::string& name);
    // When all is taken: the name that holds most of it, and so much more than this one that it can give something up for it. "": none.
    std::string gives_way_to(const std::string& name);
    void enter_instead(const std::string& name); // of one who leaves soon

private:
    const std::size_t all_, each_;
    std::mutex mutex_;
    std::map<std::string, std::size_t> counts_;
    std::size_t total_ = 0;
};

// Those who have not logged in yet, by their address. When every place is taken, the address that holds most of them gives up its oldest:
// a crowd that keeps silent keeps nobody out but itself. Any thread.
class antechamber {
public:
    antechamber(std::size_t all, std::size_t each) : all_(all), each_(each) {}
    struct entrance {
        std::uint64_t place = 0;        // 0: none
        std::shared_ptr<session> gives_way; // has lost its place, and is to be told
    };
    entrance enter(const std::string& address);
    void seat(std::uint64_t place, const std::weak_ptr<session>&);
    void leave(std::uint64_t place); // one that was lost already does not matter

private:
    struct guest {
        std::string address;
        std::weak_ptr<session> who;
    };
    const std::size_t all_, each_;
    std::mutex mutex_;
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, guest> guests_; // in the order of their coming
    std::map<std::string, std::size_t> counts_;
};

struct counters {
    std::atomic<std::uint64_t> logins{0}, refused_logins{0}, tunnels{0}, visitors{0}, refused_visitors{0}, bytes_up{0}, bytes_down{0};
};

// A libssh call that does not come back would take its thread, and with it every tunnel on that thread. Each thread says when it
// enters and leaves the library; the watchdog counts its own rounds, so that a suspended process is not mistaken for a stuck one.
class watchdog {
public:
    watchdog();
    ~watchdog();
    void run_watched(const std::function<void()>& body); // a thread's whole life

    class inside { // the library, for one connection's sake; not nested
    public:
        explicit inside(int descriptor);
        ~inside();
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;
    };

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

struct engine {
    explicit engine(broker_options);
    ~engine();

    broker_options options;
    std::shared_ptr<asio::io_context> io = std::make_shared<asio::io_context>(); // shared with whoever may still post to it
    std::mutex bind_mutex;
    ssh_bind bind = nullptr; // host key and algorithms; its own listener stays unused
    std::string host_key;
    switchboard routes;
    antechamber pending;
    tally accounts, visitors;
    counters count;
    watchdog dog;

    // Open connections, so that closing the broker, or an account, reaches them.
    std::mutex sessions_mutex;
    std::set<std::shared_ptr<session>> sessions;
    bool closing = false;
};

// Ed25519, 0600, made when absent. Throws std::runtime_error.
ssh_bind make_bind(const std::filesystem::path& host_key_file, std::string& host_key_line);

} // namespace souk::tunnel
