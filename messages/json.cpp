#include <souk/messages/json.hpp>

#include <algorithm>

#include <boost/json/basic_parser_impl.hpp>
#include <fmt/format.h>

#include <souk/messages/bytes.hpp>

namespace souk {

namespace {

namespace bj = boost::json;

// Builds values from the parser's events and refuses what the data model does not have.
class builder {
public:
    static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1);
    static constexpr std::size_t max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);

    builder(json_form form, const json_limits& limits) : form_(form), limits_(limits) {}

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_array_begin(bj::error_code& ec) { return open(value::list{}, ec); }
    bool on_array_end(std::size_t, bj::error_code& ec) { return close(ec); }
    bool on_object_begin(bj::error_code& ec) { return open(value::map{}, ec); }
    bool on_object_end(std::size_t, bj::error_code& ec) { return close(ec); }
    bool on_string_part(bj::string_view s, std::size_t, bj::error_code&) { return text_.append(s.data(), s.size()), true; }
    bool on_string(bj::string_view s, std::size_t n, bj::error_code& ec) {
        on_string_part(s, n, ec);
        return put(value(std::exchange(text_, {})), ec);
    }
    bool on_key_part(bj::string_view s, std::size_t n, bj::error_code& ec) { return on_string_part(s, n, ec); }
    bool on_key(bj::string_view s, std::size_t n, bj::error_code& ec) {
        on_string_part(s, n, ec);
        const auto& m = *open_.back().container.as<value::map>();
        if (m.contains(text_)) return refuse(ec, "json_duplicate_key", "the key \"" + text_ + "\" comes twice in one object");
        open_.back().key = std::exchange(text_, {});
        return true;
    }
    bool on_number_part(bj::string_view s, bj::error_code&) { return number_.append(s.data(), s.size()), true; }
    bool on_int64(std::int64_t n, bj::string_view, bj::error_code& ec) { return number_.clear(), put(value(n), ec); }
    bool on_uint64(std::uint64_t n, bj::string_view, bj::error_code& ec) {
        if (!std::in_range<std::int64_t>(n)) return beyond(ec);
        return number_.clear(), put(value(n), ec);
    }
    bool on_double(double, bj::string_view s, bj::error_code& ec) {
        number_.append(s.data(), s.size());
        if (number_.find_first_of(".eE") == std::string::npos) return beyond(ec); // the parser's way with large integers
        return refuse(ec, "json_float", number_ + " is a floating-point number; records have integers only");
    }
    bool on_bool(bool b, bj::error_code& ec) { return put(value(b), ec); }
    bool on_null(bj::error_code& ec) { return put(value(), ec); }
    bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
    bool on_comment(bj::string_view, bj::error_code&) { return true; }

    const refusal& why() const { return why_; }
    value& root() { return root_; }

private:
    struct frame {
        value container;
        std::string key; // of the value to come, in an object
    };

    bool refuse(bj::error_code& ec, const char* code, std::string text) {
        why_ = {code, std::move(text)};
        ec = bj::make_error_code(bj::error::syntax);
        return false;
    }
    bool beyond(bj::error_code& ec) { return refuse(ec, "json_number_range", "a number beyond 64 bits with a sign"); }
    bool open(value container, bj::error_code& ec) {
        if (open_.size() >= limits_.depth)
            return refuse(ec, "json_too_deep", "objects and lists inside each other beyond the limit");
        open_.push_back({std::move(container), {}});
        return true;
    }
    bool close(bj::error_code& ec) {
        value done = std::move(open_.back().container);
        open_.pop_back();
        return (form_ == json_form::plain || special(done, ec)) && put(std::move(done), ec);
    }
    bool put(value v, bj::error_code& ec) {
        if (++items_ > limits_.items) return refuse(ec, "json_too_large", "more values than are taken");
        if (open_.empty()) {
            root_ = std::move(v);
            return true;
        }
        auto& to = open_.back();
        if (auto* l = to.container.as<value::list>())
            l->push_back(std::move(v));
        else
            to.container.as<value::map>()->emplace(std::move(to.key), std::move(v));
        return true;
    }
    // {"$bytes": base64} and {"$link": text}.
    bool special(value& v, bj::error_code& ec) {
        const auto* bytes = v.find("$bytes");
        const auto* link = v.find("$link");
        if (!bytes && !link) return true;
        const auto* text = (bytes ? bytes : link)->as<std::string>();
        const bool alone = v.as<value::map>()->size() == 1 && text;
        if (bytes) {
            auto data = alone ? from_base64(*text) : result<std::string>(refusal{});
            if (!data) return refuse(ec, "json_bad_bytes", "\"$bytes\" is alone in its object and base64");
            v = octets{std::move(*data)};
        } else {
            auto to = alone ? cid::parse(*text) : result<cid>(refusal{});
            if (!to) return refuse(ec, "json_bad_link", "\"$link\" is alone in its object and a CID");
            v = std::move(*to);
        }
        return true;
    }

    json_form form_;
    const json_limits& limits_;
    std::vector<frame> open_;
    std::string text_, number_;
    std::size_t items_ = 0;
    value root_;
    refusal why_;
};

refusal at(std::string_view text, std::size_t offset, refusal r) {
    const auto before = text.substr(0, offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto start = before.rfind('\n');
    const auto column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
    r.text += fmt::format(" (line {}, column {})", line, column);
    return r;
}

// -- writing --------------------------------------------------------------------------------------------------------

void write_text(std::string& out, std::string_view s) {
    out += '"';
    for (char c : s) {
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
                else
                    out += c;
        }
    }
    out += '"';
}

class writer {
public:
    writer(std::string& out, json_form form, bool pretty) : out_(out), form_(form), pretty_(pretty) {}

    void operator()(null_t) { out_ += "null"; }
    void operator()(bool b) { out_ += b ? "true" : "false"; }
    void operator()(std::int64_t n) { fmt::format_to(std::back_inserter(out_), "{}", n); }
    void operator()(const std::string& s) { write_text(out_, s); }
    void operator()(const octets& b) { special("$bytes", to_base64(b.data)); }
    void operator()(const cid& c) { special("$link", c.text()); }
    void operator()(const value::list& l) {
        around('[', ']', l, [this](const value& x) { std::visit(*this, x.get()); });
    }
    void operator()(const value::map& m) {
        around('{', '}', m, [this](const auto& entry) {
            write_text(out_, entry.first);
            out_ += pretty_ ? ": " : ":";
            std::visit(*this, entry.second.get());
        });
    }

private:
    void special(const char* key, const std::string& text) {
        if (form_ == json_form::atproto)
            (*this)(value::map{{key, text}});
        else
            write_text(out_, text);
    }
    template <class C, class F>
    void around(char open, char close, const C& entries, F&& each) {
        out_ += open;
        ++level_;
        bool first = true;
        for (const auto& e : entries) {
            if (!std::exchange(first, false)) out_ += ',';
            line();
            each(e);
        }
        --level_;
        if (!entries.empty()) line();
        out_ += close;
    }
    void line() {
        if (pretty_) out_ += '\n', out_.append(2 * level_, ' ');
    }

    std::string& out_;
    json_form form_;
    bool pretty_;
    std::size_t level_ = 0;
};

std::string written(const value& v, json_form form, bool pretty) {
    std::string out;
    std::visit(writer(out, form, pretty), v.get());
    return out;
}

} // namespace

result<value> from_json(std::string_view text, json_form form, const json_limits& limits) {
    if (text.size() > limits.bytes) return refusal{"json_too_large", fmt::format("over {} bytes", limits.bytes)};
    if (!is_utf8(text)) return refusal{"json_bad_utf8", "the text is not UTF-8"};
    bj::parse_options options;
    options.max_depth = limits.depth + 1; // the builder's own check speaks first
    bj::basic_parser<builder> parser(options, form, limits);
    bj::error_code ec;
    const auto used = parser.write_some(false, text.data(), text.size(), ec);
    auto& b = parser.handler();
    if (!b.why().code.empty()) return at(text, used, b.why());
    if (ec == bj::error::incomplete) return at(text, text.size(), {"json_syntax", "the text ends inside a value"});
    const bool surrogate = ec == bj::error::illegal_leading_surrogate || ec == bj::error::illegal_trailing_surrogate;
    if (surrogate) return at(text, used, {"json_bad_utf8", "an escape that is half a surrogate pair"});
    if (ec) return at(text, used, {"json_syntax", ec.message()});
    if (used < text.size()) return at(text, used, {"json_syntax", "text after the end of the value"});
    return std::move(b.root());
}

std::string to_json(const value& v, json_form form) { return written(v, form, false); }
std::string to_pretty_json(const value& v, json_form form) { return written(v, form, true); }

} // namespace souk
