// The relay of a simulated market: the broker that ships, its door, and the tunnels that stand in its process. None outlives it.
#pragma once
#include <souk/actors/broker/broker.hpp>
#include <souk/actors/broker/grants.hpp>
#include <souk/actors/broker/route.hpp>
#include <souk/runtime/simulate/nodes.hpp>

namespace souk::simulate {

// A machine's end of a tunnel, as it comes to the SSH door.
struct ssh_client {
    std::string machine, tenant; // who it truly is: no relay is told that
    std::string user, service;   // what it says
    std::string key_type, key_blob;
    life alive;
};

class relay final : public node {
public:
    struct tunnel { // what a session of backends/tunnel is, from login to its end
        ssh_client who;
        life by;                                         // the relay's process
        life wire = std::make_shared<bool>(true);        // what carries it
        std::string did, label;                          // whose it is, by its login; the name that it serves
        bool logged_in = false, open = false;            // as the relay has it
        std::function<void()> broke;                     // how the machine hears that it is over
        bool stands() const { return open && *by && *wire && *who.alive; } // truly
    };
    using line = std::shared_ptr<tunnel>;

    relay(universe&, books&, crossings&, const party&);
    const party& who() const { return who_; }
    shelf& records() { return shelf_; }

    // The role as the cluster of another node finds it.
    broker_actor seen_by(std::string did, life);

    // SSH. `then`: whether the name was opened; `broke`: it was, and that is over.
    void connect(ssh_client, std::function<void(bool)> then, std::function<void()> broke);
    void machine_gone(const std::string& machine);
    void cut_off(instant until); // the books know it too

    // Says it until it is kept; then `kept` runs.
    void take_away(const std::string& label, std::function<void()> kept);
    void names(std::function<void(std::vector<route_view>)>); // what it says; nothing where it is down
    bool serves(const std::string& label) const;              // whether a visitor of the name would get to a machine
    route::state route_of(const std::string& label) const;
    grant_book::book grants() const { return grant_book::read(const_cast<relay*>(this)->disk_.file()); }
    instant since() const { return since_; } // it runs

    // Told of what truly happens, as it does; may be empty.
    std::function<void(const tunnel&, bool stands)> changed;
    std::function<void(const std::string& token)> given, acknowledged; // a grant: by its account; by this relay
    std::function<void()> started;

private:
    void open() override;
    void close() override;
    void log_in(const line&, std::function<void(bool)> then);
    void claim(const line&, std::function<void(bool)> then);
    void endanger(const line&);
    void snap(const line&);  // both ends hear of it
    void freeze(const line&); // neither does, until it has waited for long enough
    void over(const line&);  // what a session does when it is closed
    void say(const line&, bool up);
    void carry_grant(const std::string& from, const life&, const std::string& token, std::function<void(result<kept>)> tell);

    books& books_;
    crossings& ways_;
    const party& who_;
    shelf shelf_;
    broker_actor broker_;
    std::vector<line> lines_;            // logged in
    std::map<std::string, line> leads_;  // by label: the newest takes it over
    instant since_{}, away_until_{};
};

} // namespace souk::simulate
