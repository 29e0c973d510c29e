// Journal entries and other structs straight from bytes.
#include <souk/messages/described.hpp>
#include <souk/messages/seal.hpp>

#include "fuzz.hpp"

namespace {

struct opened {
    static constexpr std::string_view type = "opened";
    souk::instant at;
    std::optional<std::int64_t> count;
    bool operator==(const opened&) const = default;
};
BOOST_DESCRIBE_STRUCT(opened, (), (at, count))
struct closed {
    static constexpr std::string_view type = "closed";
    std::string why;
    std::map<std::string, std::uint8_t> tally;
    bool operator==(const closed&) const = default;
};
BOOST_DESCRIBE_STRUCT(closed, (), (why, tally))
struct entry {
    std::vector<std::variant<opened, closed>> events;
    std::optional<souk::cid> link;
    souk::value any;
    souk::octets raw;
    bool sure = false;
    bool operator==(const entry&) const = default;
};
BOOST_DESCRIBE_STRUCT(entry, (), (events, link, any, raw, sure))

template <class T>
void as(std::string_view bytes) {
    const auto strict = souk::decode_described<T>(bytes);
    const auto lenient = souk::decode_described<T>(bytes, souk::missing_fields::take_default);
    must(!strict || (lenient && *strict == *lenient), "lenient reads what strict reads");
    if (lenient) must(souk::decode_described<T>(souk::encode_described(*lenient)).value() == *lenient, "an entry comes back");
    const auto v = souk::decode_dag_cbor(bytes);
    must(!strict || v, "what is read is canonical");
    if (v) must(souk::from_value<T>(*v).has_value() == strict.has_value(), "values and bytes are read alike");
}

} // namespace

FUZZ {
    as<entry>(bytes);
    as<souk::access_details>(bytes);
}
