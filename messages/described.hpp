// One description of a struct (Boost.Describe) gives its value form, and through that JSON, DAG-CBOR and printing.
#pragma once
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <boost/describe.hpp>

#include <souk/messages/cbor.hpp>
#include <souk/messages/time.hpp>

namespace souk {

template <class T>
concept described_struct = boost::describe::has_describe_members<T>::value && !std::is_enum_v<T> && !std::is_union_v<T>;
template <class T>
concept described_enum = boost::describe::has_describe_enumerators<T>::value;

// Shape of the conversion:
//   bool, integers, std::string, octets, cid, value      themselves; integers are range-checked
//   instant, durations                                   milliseconds since 1970, or the duration's own unit: an integer
//   std::optional<T>                                     absent when empty; null is read as empty
//   std::vector<T>, std::map<std::string, T>             list, map
//   described enum                                       its enumerator's name
//   described struct                                     a map of its public members
//   std::variant<T...> whose T have `type` (a name)      the map of T plus "is": T::type
// A member's key is its own name, unless `wire_name<T>::of(member)` says otherwise (constexpr). A struct with `nsid` has also
// "$type": nsid, written and required (`type_may_be_missing = true`: read without it too). A struct whose form is none of
// these specialises `described_as` (described.ipp).
template <class T>
struct wire_name {
    static constexpr std::string_view of(std::string_view member) { return member; }
};

enum class unknown_fields { refuse, ignore };
enum class missing_fields { refuse, take_default }; // a journal's reader may be newer than its writer; a record's may not

template <class T>
value to_value(const T&);

// Errors name the path: "bid.x402.base_url: expected text, found a number". Codes "missing_field", "unknown_field",
// "wrong_type", "out_of_range", "unknown_name".
template <class T>
result<T> from_value(const value&, unknown_fields = unknown_fields::refuse, missing_fields = missing_fields::refuse);

// The same as encode_dag_cbor(to_value(x)) and from_value(decode_dag_cbor(bytes)) without the value between: for journals.
template <class T>
std::string encode_described(const T&);
template <class T>
result<T> decode_described(std::string_view bytes, missing_fields = missing_fields::refuse, const cbor_limits& = {});

} // namespace souk

#include <souk/messages/described.ipp>
