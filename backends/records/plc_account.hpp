// This node's own did:plc: its operations, kept before anyone hears of them, and the directory that is told.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>

#include <souk/backends/http/client.hpp>
#include <souk/backends/records/plc.hpp>

namespace souk {

class plc_account {
public:
    struct options {
        std::filesystem::path file; // the log, as a directory's audit log; 0600
        std::string directory;      // https URL without a slash at the end
        bool publish = false;       // tell it; else it is only asked
        plc::genesis_of says;       // what the identity is to say
        std::function<instant()> now;
    };
    enum class standing {
        unknown,   // not asked yet, or it does not answer
        absent,    // it does not know this DID, and is not to be told
        waiting,   // it lacks operations that it will be told
        agrees,    // it has what we have
        replaced,  // it had others, signed by this identity's keys: they are ours now, and count from the next start
        refused,   // it does not take what it is told
        given_up,  // somebody with a rotation key ended this DID
    };
    struct state {
        standing how = standing::unknown;
        std::string why, directory_head; // CID of its last operation
        std::optional<instant> asked;    // when it last answered
        bool as_wanted = true;           // what counts here says what it is to say; else `why_not`
        std::string why_not;
    };

    // Reads the log, or makes the first operation; makes another where it does not say what it is to. Each is on the disk before this returns.
    // Throws std::runtime_error where the file is damaged or cannot be written.
    plc_account(options, const crypto::secret& rotation);
    ~plc_account();

    const plc::history& own() const; // as it was at the start
    state look() const;
    // Asks the directory, and tells it what it lacks, when that is due: at the start, 5 s to 10 minutes after it did not answer, 1 to 60 minutes after
    // it refused, and each hour. What was told is not told again before it was asked for: a lost answer doubles nothing.
    void tick(const http::fetcher&);

private:
    class impl;
    std::shared_ptr<impl> impl_;
};

std::string_view to_text(plc_account::standing); // "agrees"

} // namespace souk
