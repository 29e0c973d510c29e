#include <souk/messages/car.hpp>

#include <algorithm>

#include <souk/messages/cbor.hpp>

namespace souk {

namespace {

constexpr std::size_t longest_varint = 9; // 63 bits, as multiformats have them
constexpr char raw_codec = 0x55;

void append_varint(std::string& out, std::size_t n) {
    for (; n >= 0x80; n >>= 7) out += static_cast<char>((n & 0x7f) | 0x80);
    out += static_cast<char>(n);
}

bool has_cid(std::string_view bytes, const cid& c) { return c == (c.bytes()[1] == raw_codec ? cid::of_raw(bytes) : cid::of_dag_cbor(bytes)); }

} // namespace

// -- writing --------------------------------------------------------------------------------------------------------

std::string car_header(const std::vector<cid>& roots) {
    std::string body, out;
    cbor_writer w(body);
    w.map(2);
    w.key("roots"), w.list(roots.size());
    for (const auto& c : roots) w.link(c);
    w.key("version"), w.integer(1);
    append_varint(out, body.size());
    return out += body;
}

void append_car_block(std::string& out, const cid& c, std::string_view bytes) {
    append_varint(out, cid::size + bytes.size());
    out += c.bytes();
    out += bytes;
}

std::size_t car_block_size(std::string_view bytes) {
    std::size_t n = cid::size + bytes.size(), size = n + 1;
    for (; n >= 0x80; n >>= 7) ++size;
    return size;
}

// -- reading --------------------------------------------------------------------------------------------------------

result<void> car_reader::refuse(const char* code, const char* text) {
    why_ = {code, std::string(text) + " (block " + std::to_string(blocks_) + ')'};
    held_ = {};
    return why_;
}

result<std::size_t> car_reader::length(std::string_view bytes, std::size_t& body) {
    body = 0;
    for (std::size_t i = 0; i < bytes.size() && i < longest_varint; ++i) {
        const auto b = static_cast<unsigned char>(bytes[i]);
        body |= static_cast<std::size_t>(b & 0x7f) << (7 * i);
        if (b & 0x80) continue;
        if (b == 0 && i > 0) return refuse("car_bad_varint", "a length in more bytes than it needs").error();
        return i + 1;
    }
    if (bytes.size() >= longest_varint) return refuse("car_bad_varint", "a length beyond 63 bits").error();
    return std::size_t(0);
}

result<void> car_reader::feed(std::string_view piece) {
    if (!why_.code.empty()) return why_;
    if (piece.size() > limits_.bytes - total_) return refuse("car_too_large", "more bytes than are taken");
    total_ += piece.size();
    for (;;) {
        // A section that was cut is gathered; the others are read where they lie.
        const bool gathering = !held_.empty();
        const auto ahead = gathering ? std::string_view(held_) : piece;
        if (ahead.empty()) return {};
        std::size_t body = 0;
        const auto head = length(ahead, body);
        if (!head) return head.error();
        if (*head > 0) {
            if (!has_header_ && body > limits_.header) return refuse("car_header_too_large", "a longer header than is taken");
            if (has_header_ && body < cid::size) return refuse("car_bad_cid", "a block without the room for a CID");
            if (has_header_ && body - cid::size > limits_.block) return refuse("car_block_too_large", "a larger block than is taken");
        }
        const auto whole = *head + body;
        if (*head > 0 && ahead.size() >= whole) {
            const auto full = gathering ? std::exchange(held_, {}) : std::string();
            if (auto taken = section((gathering ? std::string_view(full) : piece).substr(*head, body)); !taken) return taken;
            if (!gathering) piece.remove_prefix(whole);
            continue;
        }
        if (piece.empty()) return {};
        const auto n = std::min(*head == 0 ? std::size_t(1) : whole - held_.size(), piece.size());
        held_ += piece.substr(0, n);
        piece.remove_prefix(n);
    }
}

result<void> car_reader::finish() {
    if (!why_.code.empty()) return why_;
    if (!has_header_) return refuse("car_truncated", "the bytes end before the header does");
    if (!held_.empty()) return refuse("car_truncated", "the bytes end inside a block");
    return {};
}

result<void> car_reader::section(std::string_view body) { return has_header_ ? block(body) : header(body); }

result<void> car_reader::header(std::string_view body) {
    const auto v = decode_dag_cbor(body, {.bytes = limits_.header, .depth = 2, .items = 256});
    const auto* fields = v ? v->as<value::map>() : nullptr;
    const auto* version = fields ? v->find("version") : nullptr;
    const auto* roots = fields && v->find("roots") ? v->find("roots")->as<value::list>() : nullptr;
    if (!fields || fields->size() != 2 || !version || *version != value(1) || !roots)
        return refuse("car_bad_header", "not {version: 1, roots: [CIDs]}");
    for (const auto& r : *roots) {
        const auto* c = r.as<cid>();
        if (!c) return refuse("car_bad_header", "a root that is no CID");
        roots_.push_back(*c);
    }
    has_header_ = true;
    return {};
}

result<void> car_reader::block(std::string_view body) {
    if (blocks_ == limits_.blocks) return refuse("car_too_many_blocks", "more blocks than are taken");
    const auto c = cid::from_bytes(body.substr(0, cid::size));
    if (!c) return refuse("car_bad_cid", "a block under a CID that is not known here");
    body.remove_prefix(cid::size);
    if (!has_cid(body, *c)) return refuse("cid_mismatch", "a block whose bytes do not have its CID");
    ++blocks_;
    if (auto taken = to_(*c, body); !taken) return why_ = taken.error();
    return {};
}

namespace {

// All of it to the sink; gives the roots.
result<std::vector<cid>> read_whole(std::string_view bytes, const car_limits& limits, car_reader::sink to) {
    car_reader reader(std::move(to), limits);
    if (auto fed = reader.feed(bytes); !fed) return fed.error();
    if (auto all = reader.finish(); !all) return all.error();
    return reader.roots();
}

} // namespace

result<car_view> car_view::read(std::string_view bytes, const car_limits& limits) {
    car_view out;
    auto roots = read_whole(bytes, limits, [&](const cid&, std::string_view block) -> result<void> {
        out.blocks_.emplace(std::string_view(block.data() - cid::size, cid::size), block); // its CID lies before it
        return {};
    });
    if (!roots) return roots.error();
    out.roots_ = std::move(*roots);
    return out;
}

result<car> read_car(std::string_view bytes, const car_limits& limits) {
    car out;
    auto roots = read_whole(bytes, limits, [&](const cid& c, std::string_view block) -> result<void> {
        out.blocks.put(c, std::string(block));
        return {};
    });
    if (!roots) return roots.error();
    out.roots = std::move(*roots);
    return out;
}

} // namespace souk
