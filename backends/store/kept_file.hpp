// One file that is read whole and replaced whole: whenever the power fails, the old bytes are there or the new ones.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <souk/messages/result.hpp>

namespace souk {

class kept_file {
public:
    using done = std::function<void(result<void>)>;

    virtual ~kept_file() = default;
    virtual std::string name() const = 0; // for people
    // Empty where it was never written. Throws std::runtime_error where it is there and cannot be read, or has more than `most` bytes.
    virtual std::optional<std::string> read(std::size_t most) const = 0;
    // `then` is called once, from any thread, when the new bytes are durable; "not_kept": either may be there. The next one is given when
    // the last was answered.
    virtual void replace(std::string bytes, done then) = 0;
};

// On this node's disk, 0600, answered on the spot.
std::unique_ptr<kept_file> make_kept_file(std::filesystem::path);

} // namespace souk
