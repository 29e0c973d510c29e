// Internal. What a peer may say on one connection, judged on the clear text before CAF sees a byte of it. BASP itself bounds nothing and
// believes every node id; this admits whole frames that are small enough, come from the node that the certificate names, and are for us.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace souk::carrier {

class frame_guard {
public:
    // Asked with a node id at each BASP handshake: may that node speak on this connection? "" or why not.
    using introduction = std::function<std::string(const std::string& node_id)>;

    // `dialled`: we opened the connection, so the other side is BASP's server. `own_id` is our own node id, as text.
    frame_guard(std::uint32_t largest_frame, bool dialled, std::string own_id, introduction);

    // How many of these bytes, which follow those cleared before, may go on to CAF now. Fewer than all when a frame's beginning is not
    // there yet; the rest has to come again with more behind it. A header that calls a receiver by name is rewritten to reach nobody.
    std::size_t clear(char* bytes, std::size_t n);

    bool refused() const { return !why_.empty(); } // and from then on clears nothing
    const std::string& why() const { return why_; }
    bool introduced() const { return !id_.empty(); }

    static constexpr std::size_t longest_beginning = 32 + 8 + 1024; // header, counts, type names: what `clear` may want to see at once

private:
    struct header;
    enum class verdict { pass, more, refuse };
    verdict refuse(std::string why);
    verdict judge(const header&, std::string_view payload);
    verdict handshake(const header&, std::string_view payload);
    verdict between_us(std::string_view payload);
    verdict content(std::string_view payload, std::uint32_t length);

    std::uint32_t largest_;
    bool dialled_;
    std::string own_id_, id_, why_;
    introduction introduce_;
    unsigned handshakes_ = 0;
    std::uint64_t passing_ = 0; // of a payload that was judged already
};

// A node id as BASP writes it (32 bytes), as text; "" when it is not of the default form.
std::string node_id_text(std::string_view bytes);
constexpr std::size_t node_id_bytes = 32;

} // namespace souk::carrier
