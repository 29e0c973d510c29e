// How described.hpp does it: one table of keys a struct, sorted as DAG-CBOR wants them, made while compiling.
#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

#include <boost/mp11.hpp>

namespace souk {

// For a struct of another form than its members': `to` writes it, `read` takes it and on refusal fills `fault` and gives false.
template <class T>
struct described_as; // static value to(const T&); static bool read(const value&, T&, const described::reading&, described::fault&);

namespace described {

struct reading {
    unknown_fields unknown = unknown_fields::refuse;
    missing_fields missing = missing_fields::refuse;
};

// A refusal under way outwards: each level puts its key before the path.
struct fault {
    std::string code, path, what;

    void within(std::string_view key) {
        path = path.empty() || path[0] == '[' ? std::string(key) + path : std::string(key) + '.' + path;
    }
    void within(std::size_t index) { within("[" + std::to_string(index) + "]"); }
    bool refuse(const char* c, std::string w) {
        code = c;
        what = std::move(w);
        return false;
    }
    refusal text() const { return {code, path.empty() ? what : path + ": " + what}; }
};

inline bool expected(fault& why, std::string_view wanted, std::size_t found) {
    static constexpr std::array<std::string_view, 8> names{"null",  "a truth value", "a number", "text",
                                                           "bytes", "a link",        "a list",   "a map"};
    return why.refuse("wrong_type", "expected " + std::string(wanted) + ", found " + std::string(names[found]));
}
inline bool expected(fault& why, std::string_view wanted, const value& found) { return expected(why, wanted, found.get().index()); }
inline bool expected(fault& why, std::string_view wanted, cbor_kind found) {
    static constexpr std::array<std::size_t, 8> index{0, 1, 2, 3, 4, 5, 6, 7};
    return expected(why, wanted, index[static_cast<std::size_t>(found)]);
}

// -- kinds of types -------------------------------------------------------------------------------------------------

template <template <class...> class Template, class T>
inline constexpr bool is_a = false;
template <template <class...> class Template, class... A>
inline constexpr bool is_a<Template, Template<A...>> = true;

template <class T>
concept integer = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept optional = is_a<std::optional, T>;
template <class T>
concept list = is_a<std::vector, T>;
template <class T>
concept map = is_a<std::map, T> && std::same_as<typename T::key_type, std::string>;
template <class T>
concept variant = is_a<std::variant, T>;
template <class T>
concept time = is_a<std::chrono::time_point, T> || is_a<std::chrono::duration, T>;
template <class T>
concept custom = requires(const T& x) { described_as<T>::to(x); };
template <class T>
concept has_nsid = requires { std::string_view(T::nsid); };

template <class T>
constexpr bool type_may_be_missing() {
    if constexpr (requires { T::type_may_be_missing; })
        return T::type_may_be_missing;
    else
        return false;
}

template <class T>
std::int64_t count_of(const T& t) {
    if constexpr (is_a<std::chrono::duration, T>)
        return static_cast<std::int64_t>(t.count());
    else
        return static_cast<std::int64_t>(t.time_since_epoch().count());
}

// -- the table of a struct ------------------------------------------------------------------------------------------

template <class T>
using members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;
template <class T>
inline constexpr std::size_t member_count = boost::mp11::mp_size<members<T>>::value;
template <class T, std::size_t I>
using member = boost::mp11::mp_at_c<members<T>, I>;

inline constexpr std::size_t nsid_entry = std::size_t(-1), is_entry = std::size_t(-2); // constants, not members

struct entry {
    std::string_view key;
    std::size_t index = 0;
};

template <class T, bool Tagged>
constexpr auto make_table() {
    std::array<entry, member_count<T> + (has_nsid<T> ? 1 : 0) + (Tagged ? 1 : 0)> table{};
    std::size_t n = 0;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((table[n++] = entry{wire_name<T>::of(std::string_view(member<T, I>::name)), I}), ...);
    }(std::make_index_sequence<member_count<T>>());
    if constexpr (has_nsid<T>) table[n++] = {"$type", nsid_entry};
    if constexpr (Tagged) table[n++] = {"is", is_entry};
    std::sort(table.begin(), table.end(), [](const entry& a, const entry& b) { return canonical_less()(a.key, b.key); });
    return table;
}
template <class T, bool Tagged>
inline constexpr auto table = make_table<T, Tagged>();

constexpr bool distinct(std::span<const entry> t) {
    for (std::size_t i = 1; i < t.size(); ++i)
        if (t[i - 1].key == t[i].key) return false;
    return true;
}

template <class T, bool Tagged, class F>
void each_entry(F&& f) {
    static_assert(distinct(table<T, Tagged>), "two members, or a member and \"is\" or \"$type\", have one key");
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (f(std::integral_constant<std::size_t, I>()), ...);
    }(std::make_index_sequence<table<T, Tagged>.size()>());
}

// The constant text of an entry that is no member.
template <class T, bool Tagged, std::size_t I>
constexpr std::string_view constant() {
    if constexpr (table<T, Tagged>[I].index == nsid_entry)
        return T::nsid;
    else
        return T::type;
}
template <class T, bool Tagged, std::size_t I>
inline constexpr bool is_constant = table<T, Tagged>[I].index >= is_entry;

// The member of an entry.
template <class T, bool Tagged, std::size_t I, class X>
auto& get(X& x) {
    return x.*member<T, table<T, Tagged>[I].index>::pointer;
}

template <class E, class F>
void each_name(F&& f) {
    using enumerators = boost::describe::describe_enumerators<E>;
    boost::mp11::mp_for_each<enumerators>([&](auto d) { f(wire_name<E>::of(std::string_view(d.name)), d.value); });
}

template <described_enum E>
std::string_view name_of(E e) {
    std::string_view found;
    each_name<E>([&](std::string_view name, E x) {
        if (x == e) found = name;
    });
    if (found.empty()) throw std::invalid_argument("an enumerator without a name");
    return found;
}

template <described_enum E>
bool read_name(std::string_view text, E& out, fault& why) {
    bool found = false;
    std::string known;
    each_name<E>([&](std::string_view name, E x) {
        if (name == text) out = x, found = true;
        known += known.empty() ? std::string(name) : ", " + std::string(name);
    });
    return found || why.refuse("unknown_name", "expected one of " + known);
}

template <class I>
bool read_integer(std::int64_t n, I& out, fault& why) {
    if (!std::in_range<I>(n)) return why.refuse("out_of_range", "the number " + std::to_string(n) + " is out of range");
    out = static_cast<I>(n);
    return true;
}

template <class I>
std::int64_t as_number(I n) {
    if (!std::in_range<std::int64_t>(n)) throw std::out_of_range("a number beyond 64 bits with a sign cannot be written");
    return static_cast<std::int64_t>(n);
}

template <class T>
bool read_time(std::int64_t n, T& out) {
    if constexpr (is_a<std::chrono::duration, T>)
        out = T(static_cast<typename T::rep>(n));
    else
        out = T(typename T::duration(static_cast<typename T::rep>(n)));
    return true;
}

// An alternative by its name, made in place; false when there is none of that name.
template <class V, class F>
bool with_alternative(std::string_view name, V& out, F&& f, fault& why) {
    bool known = false, read_well = false;
    const auto take = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
        if (known || std::variant_alternative_t<I, V>::type != name) return;
        known = true;
        read_well = f(out.template emplace<I>());
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (take(std::integral_constant<std::size_t, I>()), ...);
    }(std::make_index_sequence<std::variant_size_v<V>>());
    if (known) return read_well;
    why.path = "is";
    return why.refuse("unknown_name", "nothing here is called \"" + std::string(name) + '"');
}

inline bool missing(fault& why, std::string_view key) {
    why.path = key;
    return why.refuse("missing_field", "missing");
}
inline bool unknown(fault& why, std::string_view key) {
    why.path = key;
    return why.refuse("unknown_field", "not a field that is known here");
}
inline bool read_constant(std::string_view found, std::string_view wanted, fault& why) {
    if (found == wanted) return true;
    return why.refuse("wrong_type", "expected \"" + std::string(wanted) + "\", found \"" + std::string(found) + '"');
}

// May this entry be absent?
template <class T, bool Tagged, std::size_t I>
bool may_be_missing(const reading& how) {
    constexpr auto index = table<T, Tagged>[I].index;
    if constexpr (index == nsid_entry)
        return type_may_be_missing<T>() || how.missing == missing_fields::take_default;
    else if constexpr (index == is_entry)
        return false;
    else
        return optional<std::remove_cvref_t<decltype(std::declval<T&>().*member<T, index>::pointer)>> ||
               how.missing == missing_fields::take_default;
}

// -- to values ------------------------------------------------------------------------------------------------------

template <class T>
value write(const T& x);

template <class T, bool Tagged>
value::map write_struct(const T& x) {
    value::map m;
    each_entry<T, Tagged>([&](auto i) {
        constexpr auto key = table<T, Tagged>[i].key;
        if constexpr (is_constant<T, Tagged, i>) {
            m.emplace_hint(m.end(), key, constant<T, Tagged, i>());
        } else if constexpr (const auto& field = get<T, Tagged, i>(x); optional<std::remove_cvref_t<decltype(field)>>) {
            if (field) m.emplace_hint(m.end(), key, write(*field));
        } else {
            m.emplace_hint(m.end(), key, write(field));
        }
    });
    return m;
}

template <class T>
value write(const T& x) {
    if constexpr (custom<T>) {
        return described_as<T>::to(x);
    } else if constexpr (integer<T>) {
        return as_number(x);
    } else if constexpr (time<T>) {
        return count_of(x);
    } else if constexpr (optional<T>) {
        return x ? write(*x) : value();
    } else if constexpr (list<T>) {
        value::list l;
        l.reserve(x.size());
        for (const auto& each : x) l.push_back(write(each));
        return l;
    } else if constexpr (map<T>) {
        value::map m;
        for (const auto& [k, each] : x) m.emplace(k, write(each));
        return m;
    } else if constexpr (variant<T>) {
        return std::visit([]<class A>(const A& a) { return value(write_struct<A, true>(a)); }, x);
    } else if constexpr (described_enum<T>) {
        return name_of(x);
    } else if constexpr (described_struct<T>) {
        return write_struct<T, false>(x);
    } else {
        return value(x);
    }
}

// -- to bytes -------------------------------------------------------------------------------------------------------

template <class T>
void write(cbor_writer& out, const T& x);

template <class T, bool Tagged>
void write_struct(cbor_writer& out, const T& x) {
    std::size_t absent = 0;
    each_entry<T, Tagged>([&](auto i) {
        if constexpr (!is_constant<T, Tagged, i>)
            if constexpr (const auto& f = get<T, Tagged, i>(x); optional<std::remove_cvref_t<decltype(f)>>) absent += !f;
    });
    out.map(table<T, Tagged>.size() - absent);
    each_entry<T, Tagged>([&](auto i) {
        constexpr auto key = table<T, Tagged>[i].key;
        if constexpr (is_constant<T, Tagged, i>) {
            out.key(key), out.key(constant<T, Tagged, i>());
        } else if constexpr (const auto& field = get<T, Tagged, i>(x); optional<std::remove_cvref_t<decltype(field)>>) {
            if (field) out.key(key), write(out, *field);
        } else {
            out.key(key), write(out, field);
        }
    });
}

template <class T>
void write_map(cbor_writer& out, const T& x) {
    std::vector<typename T::const_pointer> entries;
    entries.reserve(x.size());
    for (const auto& e : x) entries.push_back(&e);
    std::sort(entries.begin(), entries.end(), [](auto a, auto b) { return canonical_less()(a->first, b->first); });
    out.map(x.size());
    for (const auto* e : entries) out.text(e->first), write(out, e->second);
}

template <class T>
void write(cbor_writer& out, const T& x) {
    if constexpr (custom<T>) {
        out.any(described_as<T>::to(x));
    } else if constexpr (std::same_as<T, bool>) {
        out.boolean(x);
    } else if constexpr (integer<T>) {
        out.integer(as_number(x));
    } else if constexpr (time<T>) {
        out.integer(count_of(x));
    } else if constexpr (std::same_as<T, std::string>) {
        out.text(x);
    } else if constexpr (std::same_as<T, octets>) {
        out.bytes(x.data);
    } else if constexpr (std::same_as<T, cid>) {
        out.link(x);
    } else if constexpr (std::same_as<T, value>) {
        out.any(x);
    } else if constexpr (optional<T>) {
        if (x)
            write(out, *x);
        else
            out.null();
    } else if constexpr (list<T>) {
        out.list(x.size());
        for (const auto& each : x) write(out, each);
    } else if constexpr (map<T>) {
        write_map(out, x);
    } else if constexpr (variant<T>) {
        std::visit([&]<class A>(const A& a) { write_struct<A, true>(out, a); }, x);
    } else if constexpr (described_enum<T>) {
        out.text(name_of(x));
    } else {
        static_assert(described_struct<T>, "describe this type with BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM");
        write_struct<T, false>(out, x);
    }
}

// -- from values ----------------------------------------------------------------------------------------------------

template <class T>
bool read(const value& v, T& out, const reading& how, fault& why);

template <class T, bool Tagged, std::size_t I>
bool read_entry(const value& v, T& out, const reading& how, fault& why) {
    if constexpr (is_constant<T, Tagged, I>) {
        const auto* text = v.as<std::string>();
        return text ? read_constant(*text, constant<T, Tagged, I>(), why) : expected(why, "text", v);
    } else {
        return read(v, get<T, Tagged, I>(out), how, why);
    }
}

template <class T, bool Tagged>
bool read_struct(const value& v, T& out, const reading& how, fault& why) {
    const auto* m = v.as<value::map>();
    if (!m) return expected(why, "a map", v);
    bool well = true;
    std::size_t found = 0;
    each_entry<T, Tagged>([&](auto i) {
        constexpr auto key = table<T, Tagged>[i].key;
        if (!well) return;
        const auto at = m->find(key);
        if (at == m->end()) {
            well = may_be_missing<T, Tagged, i>(how) || missing(why, key);
        } else if (++found; !read_entry<T, Tagged, i>(at->second, out, how, why)) {
            why.within(key);
            well = false;
        }
    });
    if (!well || found == m->size() || how.unknown == unknown_fields::ignore) return well;
    for (const auto& field : *m) {
        const auto is_it = [&](const entry& e) { return e.key == field.first; };
        if (std::ranges::none_of(table<T, Tagged>, is_it)) return unknown(why, field.first);
    }
    return well;
}

template <class T>
bool read_variant(const value& v, T& out, const reading& how, fault& why) {
    if (!v.as<value::map>()) return expected(why, "a map", v);
    if (!v.find("is")) return missing(why, "is");
    return with_alternative(
        v.text("is"), out, [&]<class A>(A& a) { return read_struct<A, true>(v, a, how, why); }, why);
}

template <class T>
bool read_list(const value& v, T& out, const reading& how, fault& why) {
    const auto* l = v.as<value::list>();
    if (!l) return expected(why, "a list", v);
    out.clear();
    for (std::size_t i = 0; i < l->size(); ++i) {
        typename T::value_type each{};
        if (!read((*l)[i], each, how, why)) return why.within(i), false;
        out.push_back(std::move(each));
    }
    return true;
}

template <class T>
bool read_map(const value& v, T& out, const reading& how, fault& why) {
    const auto* m = v.as<value::map>();
    if (!m) return expected(why, "a map", v);
    out.clear();
    for (const auto& [k, x] : *m)
        if (!read(x, out[k], how, why)) return why.within(k), false;
    return true;
}

template <class T>
bool read_plain(const value& v, T& out, std::string_view wanted, fault& why) {
    const auto* x = v.as<T>();
    if (!x) return expected(why, wanted, v);
    out = *x;
    return true;
}

template <class T>
bool read(const value& v, T& out, const reading& how, fault& why) {
    if constexpr (custom<T>) {
        return described_as<T>::read(v, out, how, why);
    } else if constexpr (std::same_as<T, bool>) {
        return read_plain(v, out, "a truth value", why);
    } else if constexpr (integer<T>) {
        const auto* n = v.as<std::int64_t>();
        return n ? read_integer(*n, out, why) : expected(why, "a number", v);
    } else if constexpr (time<T>) {
        const auto* n = v.as<std::int64_t>();
        return n ? read_time(*n, out) : expected(why, "a number", v);
    } else if constexpr (std::same_as<T, std::string>) {
        return read_plain(v, out, "text", why);
    } else if constexpr (std::same_as<T, octets>) {
        return read_plain(v, out, "bytes", why);
    } else if constexpr (std::same_as<T, cid>) {
        return read_plain(v, out, "a link", why);
    } else if constexpr (std::same_as<T, value>) {
        out = v;
        return true;
    } else if constexpr (optional<T>) {
        if (v.is_null()) return out.reset(), true;
        return read(v, out.emplace(), how, why);
    } else if constexpr (list<T>) {
        return read_list(v, out, how, why);
    } else if constexpr (map<T>) {
        return read_map(v, out, how, why);
    } else if constexpr (variant<T>) {
        return read_variant(v, out, how, why);
    } else if constexpr (described_enum<T>) {
        const auto* text = v.as<std::string>();
        return text ? read_name(*text, out, why) : expected(why, "text", v);
    } else {
        static_assert(described_struct<T>, "describe this type with BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM");
        return read_struct<T, false>(v, out, how, why);
    }
}

// -- from bytes -----------------------------------------------------------------------------------------------------
// A refusal of the bytes themselves is the reader's; `fault` has then only the path.

template <class T>
bool read(cbor_reader& in, T& out, const reading& how, fault& why);

template <class T, bool Tagged, std::size_t I>
bool read_entry(cbor_reader& in, T& out, const reading& how, fault& why) {
    if constexpr (is_constant<T, Tagged, I>) {
        cbor_item item;
        if (!in.next(item)) return false;
        if (item.kind != cbor_kind::text) return expected(why, "text", item.kind);
        return read_constant(item.data, constant<T, Tagged, I>(), why);
    } else {
        return read(in, get<T, Tagged, I>(out), how, why);
    }
}

template <class T>
struct entry_reader {
    bool (*read)(cbor_reader&, T&, const reading&, fault&);
    bool (*may_be_missing)(const reading&);
};
template <class T, bool Tagged>
constexpr auto make_entry_readers() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<entry_reader<T>, sizeof...(I)>{
            entry_reader<T>{&read_entry<T, Tagged, I>, &may_be_missing<T, Tagged, I>}...};
    }(std::make_index_sequence<table<T, Tagged>.size()>());
}

// The keys of the map and of the table are both in canonical order, so one walk meets them all.
template <class T, bool Tagged>
bool read_struct(cbor_reader& in, const cbor_item& head, T& out, const reading& how, fault& why) {
    static constexpr auto readers = make_entry_readers<T, Tagged>();
    constexpr auto& known = table<T, Tagged>;
    std::size_t next = 0;
    const auto pass = [&] { return readers[next].may_be_missing(how) ? (++next, true) : missing(why, known[next].key); };
    std::string_view key;
    for (std::size_t i = 0; i < head.count; ++i) {
        if (!in.key(key, i == 0)) return false;
        while (next < known.size() && canonical_less()(known[next].key, key))
            if (!pass()) return false;
        if (next < known.size() && known[next].key == key) {
            if (!readers[next++].read(in, out, how, why)) return why.within(key), false;
        } else if (how.unknown == unknown_fields::refuse) {
            return unknown(why, key);
        } else if (!in.skip()) {
            return false;
        }
    }
    while (next < known.size())
        if (!pass()) return false;
    in.close();
    return true;
}

// "is" is not the first key, so it is looked for and then the map is read from its start.
template <class T>
bool read_variant(cbor_reader& in, const cbor_item& head, T& out, const reading& how, fault& why) {
    const auto start = in.here();
    std::string_view key;
    for (std::size_t i = 0; i < head.count; ++i) {
        if (!in.key(key, i == 0)) return false;
        if (key != "is") {
            if (!in.skip()) return false;
            continue;
        }
        cbor_item name;
        if (!in.next(name)) return false;
        if (name.kind != cbor_kind::text) return why.within("is"), expected(why, "text", name.kind);
        in.back_to(start);
        return with_alternative(
            name.data, out, [&]<class A>(A& a) { return read_struct<A, true>(in, head, a, how, why); }, why);
    }
    return missing(why, "is");
}

template <class T>
bool read_list(cbor_reader& in, const cbor_item& head, T& out, const reading& how, fault& why) {
    out.clear();
    for (std::size_t i = 0; i < head.count; ++i) {
        typename T::value_type each{};
        if (!read(in, each, how, why)) return why.within(i), false;
        out.push_back(std::move(each));
    }
    in.close();
    return true;
}

template <class T>
bool read_map(cbor_reader& in, const cbor_item& head, T& out, const reading& how, fault& why) {
    out.clear();
    std::string_view key;
    for (std::size_t i = 0; i < head.count; ++i) {
        if (!in.key(key, i == 0)) return false;
        if (!read(in, out[std::string(key)], how, why)) return why.within(key), false;
    }
    in.close();
    return true;
}

template <class T>
bool read(cbor_reader& in, const cbor_item& item, T& out, const reading& how, fault& why) {
    const auto is = [&](cbor_kind kind, std::string_view wanted) { return item.kind == kind || expected(why, wanted, item.kind); };
    if constexpr (custom<T>) {
        value v;
        return in.rest(v, item) && described_as<T>::read(v, out, how, why);
    } else if constexpr (std::same_as<T, bool>) {
        return is(cbor_kind::boolean, "a truth value") && (out = item.flag, true);
    } else if constexpr (integer<T>) {
        return is(cbor_kind::number, "a number") && read_integer(item.number, out, why);
    } else if constexpr (time<T>) {
        return is(cbor_kind::number, "a number") && read_time(item.number, out);
    } else if constexpr (std::same_as<T, std::string>) {
        return is(cbor_kind::text, "text") && (out.assign(item.data), true);
    } else if constexpr (std::same_as<T, octets>) {
        return is(cbor_kind::bytes, "bytes") && (out.data.assign(item.data), true);
    } else if constexpr (std::same_as<T, cid>) {
        return is(cbor_kind::link, "a link") && (out = *cid::from_bytes(item.data), true);
    } else if constexpr (std::same_as<T, value>) {
        return in.rest(out, item);
    } else if constexpr (optional<T>) {
        if (item.kind == cbor_kind::null) return out.reset(), true;
        return read(in, item, out.emplace(), how, why);
    } else if constexpr (list<T>) {
        return is(cbor_kind::list, "a list") && read_list(in, item, out, how, why);
    } else if constexpr (map<T>) {
        return is(cbor_kind::map, "a map") && read_map(in, item, out, how, why);
    } else if constexpr (variant<T>) {
        return is(cbor_kind::map, "a map") && read_variant(in, item, out, how, why);
    } else if constexpr (described_enum<T>) {
        return is(cbor_kind::text, "text") && read_name(item.data, out, why);
    } else {
        static_assert(described_struct<T>, "describe this type with BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM");
        return is(cbor_kind::map, "a map") && read_struct<T, false>(in, item, out, how, why);
    }
}

template <class T>
bool read(cbor_reader& in, T& out, const reading& how, fault& why) {
    cbor_item item;
    return in.next(item) && read(in, item, out, how, why);
}

} // namespace described

// -- the public five ------------------------------------------------------------------------------------------------

template <class T>
value to_value(const T& x) {
    return described::write(x);
}

template <class T>
result<T> from_value(const value& v, unknown_fields unknown, missing_fields missing) {
    T out{};
    described::fault why;
    if (!described::read(v, out, described::reading{unknown, missing}, why)) return why.text();
    return out;
}

template <class T>
std::string encode_described(const T& x) {
    std::string out;
    out.reserve(256);
    cbor_writer writer(out);
    described::write(writer, x);
    return out;
}

template <class T>
result<T> decode_described(std::string_view bytes, missing_fields missing, const cbor_limits& limits) {
    T out{};
    described::fault why;
    cbor_reader in(bytes, limits);
    const bool well = described::read(in, out, described::reading{unknown_fields::refuse, missing}, why) && in.end();
    if (well) return out;
    if (in.failed()) why.refuse(in.why().code.c_str(), in.why().text);
    return why.text();
}

} // namespace souk
