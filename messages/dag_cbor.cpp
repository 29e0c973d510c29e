#include <souk/messages/dag_cbor.hpp>

#include <limits>
#include <stdexcept>

#include <souk/messages/bytes.hpp>
#include <souk/messages/cbor.hpp>

namespace souk {

namespace {

constexpr std::uint64_t link_tag = 42;
constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();

struct any_writer {
    cbor_writer& out;

    void operator()(null_t) const { out.null(); }
    void operator()(bool b) const { out.boolean(b); }
    void operator()(std::int64_t n) const { out.integer(n); }
    void operator()(const std::string& t) const { out.text(t); }
    void operator()(const octets& b) const { out.bytes(b.data); }
    void operator()(const cid& c) const { out.link(c); }
    void operator()(const value::list& l) const {
        out.list(l.size());
        for (const auto& x : l) out.any(x);
    }
    void operator()(const value::map& m) const {
        out.map(m.size());
        for (const auto& [k, x] : m) out.text(k), out.any(x);
    }
};

} // namespace

// -- writing --------------------------------------------------------------------------------------------------------

void cbor_writer::long_head(unsigned major, std::uint64_t n) {
    const unsigned width = n <= 0xff ? 0 : n <= 0xffff ? 1 : n <= 0xffffffff ? 2 : 3; // 1, 2, 4 or 8 bytes
    out_ += static_cast<char>(major << 5 | (24 + width));
    for (int shift = static_cast<int>(8u << width) - 8; shift >= 0; shift -= 8) out_ += static_cast<char>(n >> shift & 0xff);
}

void cbor_writer::text(std::string_view t) {
    if (!is_utf8(t)) throw std::invalid_argument("a text that is not UTF-8 cannot be written as text");
    key(t);
}

void cbor_writer::link(const cid& c) {
    if (c.empty()) throw std::invalid_argument("a link to nothing cannot be written");
    head(6, link_tag);
    head(2, 1 + cid::size);
    out_ += '\0';
    out_ += c.bytes();
}

void cbor_writer::any(const value& v) { std::visit(any_writer{*this}, v.get()); }

std::string encode_dag_cbor(const value& v) {
    std::string out;
    out.reserve(512);
    cbor_writer(out).any(v);
    return out;
}

// -- reading --------------------------------------------------------------------------------------------------------

cbor_reader::cbor_reader(std::string_view bytes, const cbor_limits& limits) : in_(bytes), limits_(limits) {
    if (bytes.size() > limits.bytes) refuse("cbor_too_large", "more bytes than are taken");
}

bool cbor_reader::refuse(const char* code, const char* text) {
    if (!failed()) why_ = {code, std::string(text) + " (byte " + std::to_string(at_) + ')'};
    return false;
}

bool cbor_reader::head(unsigned& major, unsigned& info, std::uint64_t& n) {
    if (at_ >= in_.size()) return refuse("cbor_truncated", "the bytes end inside a value");
    const auto first = static_cast<unsigned char>(in_[at_++]);
    major = first >> 5;
    info = first & 31;
    n = info;
    if (info < 24 || major == 7) return true; // floats and simple values are `simple`'s
    if (info > 27) return refuse("cbor_not_canonical", "an indefinite or reserved length");
    const std::size_t width = 1u << (info - 24);
    if (in_.size() - at_ < width) return refuse("cbor_truncated", "the bytes end inside a length");
    n = 0;
    for (std::size_t i = 0; i < width; ++i) n = n << 8 | static_cast<unsigned char>(in_[at_++]);
    const bool shortest = n >= (width == 1 ? 24u : std::uint64_t(1) << (4 * width));
    return shortest || refuse("cbor_not_canonical", "a number in more bytes than it needs");
}

bool cbor_reader::take(std::string_view& data, std::uint64_t n) {
    if (n > in_.size() - at_) return refuse("cbor_truncated", "a length beyond the end of the bytes");
    data = in_.substr(at_, n);
    at_ += n;
    return true;
}

bool cbor_reader::text(std::string_view& data, std::uint64_t n) {
    return take(data, n) && (is_utf8(data) || refuse("cbor_bad_utf8", "a text that is not UTF-8"));
}

bool cbor_reader::open(cbor_item& item, cbor_kind kind, std::uint64_t n, std::uint64_t entries) {
    // An entry takes a byte at least, so a count beyond that is false before anything is reserved for it.
    if (n > (in_.size() - at_) / entries) return refuse("cbor_truncated", "a count beyond the end of the bytes");
    if (n > limits_.items - items_) return refuse("cbor_too_large", "more values than are taken");
    if (++depth_ > limits_.depth) return refuse("cbor_too_deep", "lists and maps inside each other beyond the limit");
    item.kind = kind;
    item.count = n;
    return true;
}

bool cbor_reader::link(cbor_item& item, std::uint64_t tag) {
    unsigned major = 0, info = 0;
    std::uint64_t n = 0;
    if (tag != link_tag) return refuse("cbor_bad_tag", "a tag other than 42");
    if (!head(major, info, n)) return false;
    if (major != 2 || n != 1 + cid::size) return refuse("cbor_bad_tag", "tag 42 without 37 bytes");
    if (!take(item.data, n)) return false;
    if (item.data[0] != 0 || !cid::from_bytes(item.data.substr(1)))
        return refuse("cbor_bad_tag", "tag 42 without a CID that is known here");
    item.data.remove_prefix(1);
    item.kind = cbor_kind::link;
    return true;
}

bool cbor_reader::simple(cbor_item& item, unsigned info) {
    if (info == 20 || info == 21) {
        item.kind = cbor_kind::boolean;
        item.flag = info == 21;
        return true;
    }
    if (info >= 25 && info <= 27) return refuse("cbor_float", "a floating-point number");
    item.kind = cbor_kind::null;
    return info == 22 || refuse("cbor_not_canonical", "a simple value other than false, true and null");
}

bool cbor_reader::next(cbor_item& item) {
    unsigned major = 0, info = 0;
    std::uint64_t n = 0;
    if (failed()) return false;
    if (++items_ > limits_.items) return refuse("cbor_too_large", "more values than are taken");
    if (!head(major, info, n)) return false;
    switch (major) {
        case 0:
        case 1:
            item.kind = cbor_kind::number;
            if (n > largest) return refuse("cbor_number_range", "a number beyond 64 bits with a sign");
            item.number = major ? -1 - static_cast<std::int64_t>(n) : static_cast<std::int64_t>(n);
            return true;
        case 2: item.kind = cbor_kind::bytes; return take(item.data, n);
        case 3: item.kind = cbor_kind::text; return text(item.data, n);
        case 4: return open(item, cbor_kind::list, n, 1);
        case 5: return open(item, cbor_kind::map, n, 2);
        case 6: return link(item, n);
        default: return simple(item, info);
    }
}

bool cbor_reader::key(std::string_view& key, bool first) {
    unsigned major = 0, info = 0;
    std::uint64_t n = 0;
    const auto before = key;
    if (failed() || !head(major, info, n)) return false;
    if (major != 3) return refuse("cbor_not_canonical", "a key that is not text");
    if (!text(key, n)) return false;
    if (first || canonical_less()(before, key)) return true;
    return before == key ? refuse("cbor_duplicate_key", "a key that comes twice")
                         : refuse("cbor_key_order", "keys that are not in canonical order");
}

bool cbor_reader::any(value& out) {
    cbor_item item;
    return next(item) && rest(out, item);
}

bool cbor_reader::rest(value& out, const cbor_item& item) {
    switch (item.kind) {
        case cbor_kind::null: out = null_t{}; return true;
        case cbor_kind::boolean: out = item.flag; return true;
        case cbor_kind::number: out = item.number; return true;
        case cbor_kind::text: out = item.data; return true;
        case cbor_kind::bytes: out = octets{std::string(item.data)}; return true;
        case cbor_kind::link: out = *cid::from_bytes(item.data); return true;
        case cbor_kind::list: {
            value::list l(item.count);
            for (auto& x : l)
                if (!any(x)) return false;
            out = std::move(l);
            break;
        }
        case cbor_kind::map: {
            value::map m;
            std::string_view k;
            for (std::size_t i = 0; i < item.count; ++i) {
                value x;
                if (!key(k, i == 0) || !any(x)) return false;
                m.emplace_hint(m.end(), std::string(k), std::move(x));
            }
            out = std::move(m);
            break;
        }
    }
    close();
    return true;
}

bool cbor_reader::skip() {
    cbor_item item;
    if (!next(item)) return false;
    if (item.kind != cbor_kind::list && item.kind != cbor_kind::map) return true;
    std::string_view k;
    for (std::size_t i = 0; i < item.count; ++i)
        if ((item.kind == cbor_kind::map && !key(k, i == 0)) || !skip()) return false;
    close();
    return true;
}

bool cbor_reader::end() {
    return !failed() && (at_ == in_.size() || refuse("cbor_trailing_bytes", "bytes after the end of the value"));
}

result<value> decode_dag_cbor(std::string_view bytes, const cbor_limits& limits) {
    cbor_reader in(bytes, limits);
    value out;
    if (!in.any(out) || !in.end()) return in.why();
    return out;
}

} // namespace souk
