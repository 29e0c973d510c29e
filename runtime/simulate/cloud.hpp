// What runs the machines of one host. It outlives the host's node, as processes of a hypervisor do, and remembers what truly happened.
#pragma once
#include <souk/backends/compute/backend.hpp>
#include <souk/runtime/simulate/universe.hpp>

namespace souk::simulate {

class cloud {
public:
    struct run { // of one machine
        instant from;
        std::optional<instant> until;
        bool by_itself = false; // it ended, or the cloud said that it had
    };
    cloud(universe& u, std::string host) : u_(u), host_(std::move(host)) {}

    // How one process sees it.
    std::unique_ptr<compute::backend> seen_by(life);

    // What happens inside of a machine, for as long as it lives; and that it is gone. May be empty.
    std::function<void(const compute::order&, life)> booted;
    std::function<void(const std::string& tag)> gone;

    bool refuses = false;                                 // every launch, for good
    void lose(const std::string& tag) { end(tag, true); } // it ends by itself

    const std::map<std::string, std::vector<run>>& history() const { return history_; } // by tag
    std::size_t running() const { return machines_.size(); }
    bool runs(const std::string& tag) const { return machines_.count(tag) > 0; }

private:
    class view;
    struct machine {
        compute::running where;
        instant hidden_until{}; // reported absent until then
        life alive = std::make_shared<bool>(true);
    };
    void start(const compute::order&);
    void end(const std::string& tag, bool by_itself = false);

    universe& u_;
    std::string host_;
    std::map<std::string, machine> machines_;
    std::map<std::string, std::uint64_t> coming_; // launches under way, by tag: their number
    std::uint64_t launches_ = 0;
    std::map<std::string, std::vector<run>> history_;
};

} // namespace souk::simulate
