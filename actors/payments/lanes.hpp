// This node's keys on one chain: a lane each. Whoever has a transaction to bring there gives it to the key with least under way, and hears what became of it.
#pragma once
#include <memory>
#include <mutex>

#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/payments/lane_world.hpp>

namespace souk {

struct lane_view { // for people: what a key has under way
    crypto::address signer;
    std::int64_t queued = 0, in_flight = 0, not_deep_yet = 0, reorganised = 0, lost = 0;
    std::string gas; // wei, decimal: what is left to pay for transactions; "" where the chain does not say
};
BOOST_DESCRIBE_STRUCT(lane_view, (), (signer, queued, in_flight, not_deep_yet, reorganised, lost, gas))

struct lanes_options {
    std::string name; // of the chain and what is paid on it; with the signer's address it names a lane's journal
    gas_terms gas;
    std::function<instant()> now;
    on_trouble trouble; // may be empty
    std::function<void(const std::string& key, const lane::state&, const std::vector<lane::event>&)> changed; // told first of what is durable; may be empty
};

// With no keys it brings nothing. Journal and chain must outlive it; it must outlive the actor system, which waits for its lanes: `close` ends them.
class key_lanes : public std::enable_shared_from_this<key_lanes> {
public:
    struct landed {
        std::optional<lane::place> at; // in a block that lies deep enough, where it succeeded or was reverted
        bool refused = false;          // it never had a nonce, and `why`; the chain knows more
        refusal why;                   // not refused: it is not known, and may be asked for again
    };
    using tell = std::function<void(landed)>;

    key_lanes(caf::actor_system&, lanes_options, journal&, std::shared_ptr<evm::chain>, std::vector<crypto::secret> keys);
    void start(); // once it is shared: the lanes call back into it
    void close(); // what is asked from now on is not known

    const std::vector<std::string>& signers() const { return signers_; } // lower case
    bool under_way(const std::string& id) const;
    std::string newest_hash(const std::string& id) const; // of one that is under way: what was broadcast last; "" before that
    void wait(const std::string& id, tell then) { (void)is_awaited(id, std::move(then)); } // for one that is under way
    // `by`: one of the signers; none: whichever has least to do.
    void land(lane::job, tell, const std::string& by = {});
    std::vector<lane_view> views() const;

private:
    std::string key_of(const std::string& signer) const { return options_.name + '/' + signer; }
    bool is_awaited(const std::string& id, tell); // false: it is over, or too many wait, and that was told
    std::string idlest(const std::string& id, const std::string& by);
    void changed(const std::string& key, const lane::state&, const std::vector<lane::event>&);
    void say(const std::string& id, const landed&);

    const lanes_options options_;
    caf::actor_system& sys_;
    journal& log_;
    const std::shared_ptr<evm::chain> on_;
    std::vector<crypto::secret> keys_;
    std::vector<std::string> signers_;
    std::unique_ptr<lane_world> world_;
    std::mutex lanes_guard_;
    std::optional<entities<lane>> lanes_;

    mutable std::mutex guard_;
    std::map<std::string, std::string> where_; // jobs under way: by which key
    std::map<std::string, std::map<std::string, std::string>> hashes_; // by key and job: the newest transaction of each that is under way
    std::map<std::string, std::vector<tell>> waiting_;
    std::map<std::string, std::map<std::string, lane::place>> over_; // by key: confirmed, and still watched; brought again they stay what they are
    std::map<std::string, lane_view> views_;
    std::map<std::string, std::int64_t> given_; // since a lane was last heard of
};

} // namespace souk
