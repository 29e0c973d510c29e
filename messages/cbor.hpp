// The two ends of strict DAG-CBOR that everything else is made of: a writer that appends, and a reader that pulls item by
// item and refuses what is not canonical. Use dag_cbor.hpp for values and described.hpp for structs.
#pragma once
#include <souk/messages/dag_cbor.hpp>

namespace souk {

class cbor_writer {
public:
    explicit cbor_writer(std::string& out) : out_(out) {}

    void null() { out_ += '\xf6'; }
    void boolean(bool b) { out_ += b ? '\xf5' : '\xf4'; }
    void integer(std::int64_t n) { n < 0 ? head(1, ~static_cast<std::uint64_t>(n)) : head(0, static_cast<std::uint64_t>(n)); }
    void text(std::string_view); // throws std::invalid_argument when it is not UTF-8
    void key(std::string_view known_utf8) { head(3, known_utf8.size()), out_ += known_utf8; }
    void bytes(std::string_view b) { head(2, b.size()), out_ += b; }
    void link(const cid&); // throws std::invalid_argument for no CID
    void list(std::size_t n) { head(4, n); }
    void map(std::size_t n) { head(5, n); }
    void any(const value&);

private:
    void head(unsigned major, std::uint64_t n) {
        if (n < 24)
            out_ += static_cast<char>(major << 5 | n);
        else
            long_head(major, n);
    }
    void long_head(unsigned major, std::uint64_t n);
    std::string& out_;
};

enum class cbor_kind { null, boolean, number, text, bytes, link, list, map };

struct cbor_item {
    cbor_kind kind = cbor_kind::null;
    bool flag = false;
    std::int64_t number = 0;
    std::string_view data; // text, bytes, the 36 bytes of a link
    std::size_t count = 0; // entries of a list or map, which follow
};

class cbor_reader {
public:
    cbor_reader(std::string_view bytes, const cbor_limits& limits);

    // Each returns false on refusal, and from then on.
    bool next(cbor_item&);
    bool key(std::string_view& key, bool first); // in: the key before, unless first; out: this one
    void close() { --depth_; }                   // after the last entry of a list or map
    bool any(value&);
    bool rest(value&, const cbor_item&); // the value that an item already taken begins
    bool skip();
    bool end(); // refuses bytes after the end

    bool failed() const { return !why_.code.empty(); }
    const refusal& why() const { return why_; }
    std::size_t at() const { return at_; }

    // A place to come back to.
    struct mark {
        std::size_t at, items;
        unsigned depth;
    };
    mark here() const { return {at_, items_, depth_}; }
    void back_to(const mark& m) { at_ = m.at, items_ = m.items, depth_ = m.depth; }

private:
    bool refuse(const char* code, const char* text);
    bool head(unsigned& major, unsigned& info, std::uint64_t& n);
    bool take(std::string_view& data, std::uint64_t n);
    bool open(cbor_item&, cbor_kind, std::uint64_t n, std::uint64_t entries);
    bool text(std::string_view& data, std::uint64_t n);
    bool link(cbor_item&, std::uint64_t tag);
    bool simple(cbor_item&, unsigned info);

    std::string_view in_;
    cbor_limits limits_;
    std::size_t at_ = 0, items_ = 0;
    unsigned depth_ = 0;
    refusal why_;
};

} // namespace souk
