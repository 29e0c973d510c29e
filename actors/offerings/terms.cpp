#include <souk/actors/offerings/terms.hpp>

#include <algorithm>

#include <souk/actors/common/service_call.hpp>
#include <souk/backends/compute/backend.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/lexicon.hpp>
#include <souk/messages/money.hpp>

namespace souk::offerings {

namespace {

result<price> price_said(const market::offering& o) {
    bid_terms t;
    t.cost = *o.cost, t.currency = o.currency.value_or("USDC"), t.frequency = o.frequency.value_or(""), t.prepay = true, t.slice = o.slice;
    return price_of(t);
}

bool is_service(const std::string& text) {
    if (text.empty() || text.size() > longest_service) return false;
    if (service::did_of_door(text)) return true;
    const auto hash = text.find('#');
    return hash != text.npos && hash + 1 < text.size() && is_did(text.substr(0, hash));
}

bool same_name(std::string_view a, std::string_view b) { // "SE" is "se", as the policy's rules have it
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return low(x) == low(y); });
}

int rank(const std::string& tier) { return tier == "hardware" ? 2 : tier == "simulated" ? 1 : 0; }

std::string last_said(const value& record) {
    const auto renewed = record.text("refreshedAt");
    const auto at = from_datetime(renewed.empty() ? record.text("createdAt") : renewed);
    return at ? to_datetime(*at) : std::string(); // in one form, so that they compare
}

} // namespace

std::string key_of(const std::string& did) {
    const auto digest = crypto::sha256("souk offering\n" + did);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i) bits = bits << 8 | static_cast<unsigned char>(digest[i]);
    return to_tid(bits >> 11, static_cast<unsigned>(bits & 0x3ff));
}

std::optional<market::offering> offering_of(const for_sale& s, const std::vector<host_view>& hosts) {
    std::int64_t cpus = 0, mem = 0, disk = 0;
    for (const auto& h : hosts)
        if (!h.draining) cpus = std::max(cpus, h.cpus), mem = std::max(mem, h.mem_mib), disk = std::max(disk, h.disk_mib);
    if (cpus < 1 || mem < 1) return std::nullopt;
    market::offering o;
    o.endpointUrl = s.door;
    o.appliesTo = {std::string(ccrfp::nsid), std::string(flat::ccrfp::nsid), std::string(market::vm::nsid)};
    o.largest = market::offering::size{cpus, std::to_string(mem) + 'M', std::to_string(disk) + 'M'};
    o.cost = s.cost, o.currency = s.currency, o.frequency = s.frequency, o.slice = s.slice, o.attestation = s.tier, o.location = s.location;
    return o;
}

result<offering_view> read_offering(const at_uri& uri, const strong_ref& ref, const value& record, instant now) {
    if (const auto good = known_lexicons().check_record(market::offering::nsid, record); !good) return good.error();
    const auto read = from_value<market::offering>(record, unknown_fields::ignore);
    if (!read) return read.error();
    const auto& o = *read;
    if (!is_service(o.endpointUrl)) return refusal{"bad_service", "an offering's endpointUrl is https://host or DID#id"};
    offering_view v;
    v.did = uri.did, v.uri = ref.uri, v.cid = ref.cid, v.service = o.endpointUrl, v.read = now, v.expires = now + counts_for;
    while (v.service.ends_with('/')) v.service.pop_back(); // one door is one, however it is written
    v.applies_to.assign(o.appliesTo.begin(), o.appliesTo.begin() + static_cast<std::ptrdiff_t>(std::min(o.appliesTo.size(), most_payloads)));
    if (o.expiresAt) {
        const auto end = from_datetime(*o.expiresAt);
        if (!end) return end.error();
        if (*end <= now) return refusal{"offering_over", "it counts no more"};
        v.expires = std::min<instant>(v.expires, *end);
    }
    if (o.largest) {
        const auto mem = compute::to_mib(o.largest->mem), disk = compute::to_mib(o.largest->disk);
        if (!mem || !disk) return refusal{"bad_offering", "its largest machine has no size"};
        v.cpus = o.largest->cpus, v.mem_mib = *mem, v.disk_mib = *disk;
    }
    if (o.cost) {
        const auto price = price_said(o);
        if (!price) return refusal{"bad_offering", "its price cannot be read: " + price.error().text};
        v.amount = price->for_slice, v.slice = price->slice.count();
    }
    v.tier = o.attestation.value_or(""), v.location = o.location;
    return v;
}

std::optional<stored_record> newest_of(const std::vector<stored_record>& all, instant now) {
    const stored_record* best = nullptr;
    std::string at;
    for (const auto& r : all) {
        if (!read_offering(r.uri, r.ref(), r.value, now)) continue;
        if (auto said = last_said(r.value); !best || said > at) best = &r, at = std::move(said);
    }
    return best ? std::optional(*best) : std::nullopt;
}

result<wanted> wanted_of(const sellers_query& q) {
    const auto v = decode_dag_cbor(q.request.data);
    if (!v) return v.error();
    const auto r = from_record<ccrfp>(*v);
    if (!r) return r.error();
    const auto mem = compute::to_mib(r->mem), disk = compute::to_mib(r->disk);
    if (!mem) return mem.error();
    if (!disk) return disk.error();
    return wanted{q.payload, r->cpus, *mem, *disk, r->location, q.ceiling, q.wanted_tier};
}

bool may_sell(const offering_view& o, const wanted& w) {
    if (!w.payload.empty() && std::find(o.applies_to.begin(), o.applies_to.end(), w.payload) == o.applies_to.end()) return false;
    if (o.cpus > 0 && (o.cpus < w.cpus || o.mem_mib < w.mem_mib || o.disk_mib < w.disk_mib)) return false;
    if (w.ceiling > 0 && o.slice > 0 && o.amount > w.ceiling) return false;
    if (!o.tier.empty() && rank(o.tier) < rank(w.tier)) return false;
    const auto elsewhere = [](const auto& want, const auto& have) { return want && have && !same_name(*want, *have); };
    return !w.location || !o.location || (!elsewhere(w.location->country, o.location->country) && !elsewhere(w.location->region, o.location->region));
}

bool is_cheaper(const offering_view& a, const offering_view& b) {
    if ((a.slice > 0) != (b.slice > 0)) return a.slice > 0;
    __extension__ using wide = __int128;
    const auto x = static_cast<wide>(a.amount) * b.slice, y = static_cast<wide>(b.amount) * a.slice;
    return x != y ? x < y : a.did < b.did;
}

} // namespace souk::offerings
