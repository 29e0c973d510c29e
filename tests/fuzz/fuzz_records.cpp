// JSON, or bytes, to every kind of record; the ways there must agree.
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/market_records.hpp>
#include <souk/messages/money.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

template <class R>
void as(const value& v, const std::string& block) {
    const auto r = from_record<R>(v);
    const auto direct = decode_described<R>(block);
    must(r.has_value() == direct.has_value(), "values and bytes are read alike");
    if (!r) return;
    must(*r == *direct, "values and bytes give one record");
    const auto written = to_record(*r);
    must(encode_described(*r) == encode_dag_cbor(written), "a record is written alike");
    must(from_record<R>(written).value() == *r, "a record comes back");
    if constexpr (std::same_as<R, ccb>)
        if (const auto price = price_of(r->bid))
            must(price->of(price->slice / 2) <= price->for_slice, "a part costs no more than the whole");
}

void all(const value& v) {
    const auto block = encode_dag_cbor(v);
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, boost::mp11::mp_append<all_records, later_records>>>(
        [&]<class I>(I) { as<typename I::type>(v, block); });
}

} // namespace

FUZZ {
    if (const auto v = from_json(bytes, json_form::atproto)) all(*v);
    if (const auto v = decode_dag_cbor(bytes)) all(*v);
}
