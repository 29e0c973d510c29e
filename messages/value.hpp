// The data model of AT Protocol records: DAG-CBOR without floats. JSON, DAG-CBOR and described structs meet here.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <souk/messages/cid.hpp>

namespace souk {

class value;

struct null_t {
    bool operator==(const null_t&) const = default;
};
struct octets { // a byte string, as against a text; in code the two are used alike, on the wire never
    std::string data;
    octets() = default;
    octets(std::string bytes) : data(std::move(bytes)) {}
    operator const std::string&() const { return data; }
    bool empty() const { return data.empty(); }
    void clear() { data.clear(); }
    bool operator==(const octets&) const = default;
};

// DAG-CBOR's order of keys: shorter first, then by bytes. A map is canonical by construction.
struct canonical_less {
    using is_transparent = void;
    constexpr bool operator()(std::string_view a, std::string_view b) const {
        return a.size() != b.size() ? a.size() < b.size() : a < b;
    }
};

class value {
public:
    using list = std::vector<value>;
    using map = std::map<std::string, value, canonical_less>;
    using variant = std::variant<null_t, bool, std::int64_t, std::string, octets, cid, list, map>;

    value() = default;
    value(null_t) {}
    value(bool b) : v_(b) {}
    template <class I>
        requires(std::integral<I> && !std::same_as<I, bool>)
    value(I n) : v_(static_cast<std::int64_t>(n)) {}
    value(const char* s) : v_(std::string(s)) {}
    value(std::string s) : v_(std::move(s)) {}
    value(std::string_view s) : v_(std::string(s)) {}
    value(octets b) : v_(std::move(b)) {}
    value(cid c) : v_(std::move(c)) {}
    value(list l) : v_(std::move(l)) {}
    value(map m) : v_(std::move(m)) {}

    const variant& get() const { return v_; }
    variant& get() { return v_; }

    bool is_null() const { return std::holds_alternative<null_t>(v_); }
    // nullptr when it is something else
    template <class T> const T* as() const { return std::get_if<T>(&v_); }
    template <class T> T* as() { return std::get_if<T>(&v_); }

    // Looks a key up in a map; nullptr when this is no map or has no such key.
    const value* find(std::string_view key) const {
        const auto* m = as<map>();
        if (!m) return nullptr;
        const auto at = m->find(key);
        return at == m->end() ? nullptr : &at->second;
    }
    // The text under a key, or "" when there is none.
    std::string_view text(std::string_view key) const {
        const auto* found = find(key);
        const auto* s = found ? found->as<std::string>() : nullptr;
        return s ? std::string_view(*s) : std::string_view();
    }

    friend bool operator==(const value& a, const value& b) { return a.v_ == b.v_; }

private:
    variant v_;
};

} // namespace souk
