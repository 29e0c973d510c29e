// The launcher of one host: keeps room, runs machines on a backend, and is the last to let them go.
#pragma once
#include <deque>
#include <mutex>
#include <set>

#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/launcher/machine.hpp>

namespace souk {

struct launcher_options {
    std::string host; // this node's name
    compute::size capacity;
    std::optional<place> location;
    // What each machine gets besides the tenant's document.
    std::vector<compute::lead> leads;
    std::string ca_pem;
    std::string token_path, url_path, actx_path; // where the boot token, the exchange's base URL and the account lie inside (the bid's wif block)
    std::string base_url;                        // of the issuer, as seen from inside
    std::function<instant()> now;
    std::size_t shards = 2;
    std::chrono::seconds sweep_every{60};
    on_trouble trouble; // of effects that did not come off; may be empty
};

class machine_world final : public performer<machine> {
public:
    // `issuer` may be empty: machines then boot without a token.
    machine_world(caf::actor_system& sys, launcher_options options, compute::backend& backend, std::function<issuer_actor()> issuer)
        : sys_(sys), options_(std::move(options)), backend_(backend), issuer_(std::move(issuer)) {}
    void perform(const machine::create&, reply_to<machine::create>) override;
    void perform(const machine::destroy&, reply_to<machine::destroy>) override;
    void perform(const machine::observe&, reply_to<machine::observe>) override;

private:
    void launch(const machine::create&, const token_answer&, reply_to<machine::create>);

    // Tags whose end was asked for: a create of theirs that is still on its way to the backend goes no further. So an absence that the
    // backend reports after that is for good: a backend's word covers all that it was asked before. One that ends with this process is
    // not missed: what was on its way ends with it too.
    static constexpr std::size_t most_ended = 10'000;
    std::mutex guard_;
    std::set<std::string> ended_;
    std::deque<std::string> ended_in_order_;

    caf::actor_system& sys_;
    launcher_options options_;
    compute::backend& backend_;
    std::function<issuer_actor()> issuer_;
};

launcher_actor spawn_launcher(caf::actor_system&, launcher_options, journal&, compute::backend&, performer<machine>&);

} // namespace souk
