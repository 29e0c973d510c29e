#include <souk/runtime/cluster/frame_guard.hpp>

#include <algorithm>
#include <cstring>

#include <caf/node_id.hpp>

namespace souk::carrier {

namespace {

constexpr std::size_t header_bytes = 32;
constexpr std::uint32_t largest_handshake = 16 * 1024; // a node id and the directory's interface
constexpr unsigned most_handshakes = 4;                // BASP's client repeats its own once
constexpr std::size_t longest_types = 1024;
constexpr std::uint64_t nobody = ~std::uint64_t{0};

enum operation : std::uint8_t { server_handshake, client_handshake, direct_message, routed_message, monitor_message, down_message, heartbeat };
constexpr std::uint8_t named_receiver = 0x01;

std::uint64_t big_endian(const char* at, std::size_t n) {
    std::uint64_t x = 0;
    for (std::size_t i = 0; i < n; ++i) x = x << 8 | static_cast<unsigned char>(at[i]);
    return x;
}

// Messages of CAF's own types (exit, link, spawn, ...) would let one peer end or steer the other's actors. Ours and errors may pass.
bool is_ours(std::string_view types) {
    if (types == "@<>" || types == "@<>+@error") return true;
    if (!types.starts_with("@<>+")) return false;
    return types.find("+@") == types.npos;
}

} // namespace

struct frame_guard::header {
    std::uint8_t operation, flags;
    std::uint32_t length;
};

std::string node_id_text(std::string_view bytes) {
    using plain = caf::node_id::default_data;
    if (bytes.size() < node_id_bytes || big_endian(bytes.data(), 8) != static_cast<std::uint64_t>(plain::class_id)) return {};
    plain::host_id_type host;
    std::memcpy(host.data(), bytes.data() + 12, host.size());
    const auto process = static_cast<std::uint32_t>(big_endian(bytes.data() + 8, 4));
    if (process == 0 || !plain::valid(host)) return {};
    return caf::to_string(caf::make_node_id(process, host));
}

frame_guard::frame_guard(std::uint32_t largest, bool dialled, std::string own_id, introduction introduce)
    : largest_(largest), dialled_(dialled), own_id_(std::move(own_id)), introduce_(std::move(introduce)) {}

frame_guard::verdict frame_guard::refuse(std::string why) {
    why_ = std::move(why);
    return verdict::refuse;
}

std::size_t frame_guard::clear(char* bytes, std::size_t n) {
    std::size_t done = 0;
    while (!refused() && done < n) {
        if (passing_ > 0) {
            const auto k = static_cast<std::size_t>(std::min<std::uint64_t>(passing_, n - done));
            passing_ -= k, done += k;
            continue;
        }
        if (n - done < header_bytes) break;
        char* const head = bytes + done;
        const header h{static_cast<std::uint8_t>(head[0]), static_cast<std::uint8_t>(head[3]), static_cast<std::uint32_t>(big_endian(head + 4, 4))};
        if (judge(h, {head + header_bytes, n - done - header_bytes}) != verdict::pass) break;
        if (h.operation == direct_message && (h.flags & named_receiver)) {
            head[3] = static_cast<char>(h.flags & ~named_receiver);
            std::memcpy(head + 24, &nobody, sizeof nobody);
        }
        done += header_bytes, passing_ = h.length;
    }
    return refused() ? 0 : done;
}

frame_guard::verdict frame_guard::judge(const header& h, std::string_view payload) {
    if (h.length > largest_) return refuse("a frame of " + std::to_string(h.length) + " bytes; the limit is " + std::to_string(largest_));
    if ((h.operation == heartbeat) != (h.length == 0)) return refuse("a frame of kind " + std::to_string(h.operation) + " with " + std::to_string(h.length) + " bytes");
    payload = payload.substr(0, h.length);
    if (h.operation == server_handshake || h.operation == client_handshake) return handshake(h, payload);
    if (!introduced()) return refuse("the first frame is not a handshake");
    switch (h.operation) {
        case direct_message: return h.flags & named_receiver ? verdict::pass : content(payload, h.length);
        case monitor_message:
        case down_message: return h.length < 2 * node_id_bytes ? refuse("a frame too short for its kind") : between_us(payload);
        case heartbeat: return verdict::pass;
        case routed_message: return refuse("a message to be passed on");
        default: return refuse("a frame of unknown kind " + std::to_string(h.operation));
    }
}

frame_guard::verdict frame_guard::handshake(const header& h, std::string_view payload) {
    if (dialled_ != (h.operation == server_handshake) || (dialled_ && introduced())) return refuse("a handshake out of turn");
    if (++handshakes_ > most_handshakes) return refuse("too many handshakes");
    if (h.length < node_id_bytes || h.length > largest_handshake) return refuse("a handshake of " + std::to_string(h.length) + " bytes");
    if (payload.size() < node_id_bytes) return --handshakes_, verdict::more;
    auto id = node_id_text(payload);
    if (id.empty()) return refuse("a handshake without a node id");
    if (id == own_id_) return refuse("the other side has our own node id");
    if (introduced() && id != id_) return refuse("a second handshake with another node id");
    if (auto why = introduce_(id); !why.empty()) return refuse(std::move(why));
    id_ = std::move(id);
    return verdict::pass;
}

// Who watches whom, and who is down: from the peer about its own actors or ours, never about a third node's.
frame_guard::verdict frame_guard::between_us(std::string_view payload) {
    if (payload.size() < 2 * node_id_bytes) return verdict::more;
    if (node_id_text(payload) != id_ || node_id_text(payload.substr(node_id_bytes)) != own_id_) return refuse("a notice from or for a third node");
    return verdict::pass;
}

// A message's payload: how many actors it shall be passed through (a count), a zero, its types' names (a count and text), its fields.
frame_guard::verdict frame_guard::content(std::string_view payload, std::uint32_t length) {
    if (length < 7) return refuse("a message too short to be one");
    if (payload.size() < 7) return verdict::more;
    if (payload[0] != 0) return refuse("a message to be passed on");
    if (payload[1] != 0 || payload[2] != 0) return refuse("a message of a numbered type");
    std::size_t size = static_cast<unsigned char>(payload[3]) & 0x7f, at = 4;
    if (payload[3] & '\x80') size |= static_cast<std::size_t>(static_cast<unsigned char>(payload[at++])) << 7;
    if (size > longest_types || at + size > length) return refuse("a message with too long a type name");
    if (payload.size() < at + size) return verdict::more;
    const auto types = payload.substr(at, size);
    if (!is_ours(types)) return refuse("a message that no peer may send: " + std::string(types.substr(0, 60)));
    return verdict::pass;
}

} // namespace souk::carrier
