#include <souk/actors/signer/draft.hpp>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/lexicon.hpp>
#include <souk/messages/market_records.hpp>

namespace souk::signing {

namespace {

struct kind {
    std::string_view nsid;
    bool has_signatures;
    result<void> (*check)(const value&);
};

template <class R>
result<void> check_as(const value& record) {
    const auto read = from_record<R>(record);
    if (!read) return read.error();
    return {};
}

template <class R>
constexpr kind kind_of() {
    return {R::nsid, requires(R r) { r.signatures; }, check_as<R>};
}

// Everything that a node writes. A ccbap is upstream's step of another order: read, never written.
constexpr kind kinds[] = {
    kind_of<ccrfp>(), kind_of<ccba>(), kind_of<cce>(), kind_of<ccb>(),  kind_of<ccbw>(),
    kind_of<ccr>(),   kind_of<ccf>(),  kind_of<rbac>(), kind_of<vouch>(), kind_of<ssh_public_key>(),
    // The same in the words of the later generations.
    kind_of<flat::ccrfp>(), kind_of<flat::ccb>(), kind_of<flat::ccba>(), kind_of<flat::ccr>(),
    kind_of<market::vm>(), kind_of<market::rfp>(), kind_of<market::bids_x402>(), kind_of<market::wif_simple>(), kind_of<market::bid>(),
    kind_of<market::accept>(), kind_of<market::receipt>(), kind_of<market::vm_delete>(), kind_of<market::event>(), kind_of<market::bidder_registration>(), kind_of<market::offering>(),
};

const kind* find_kind(std::string_view nsid) {
    for (const auto& k : kinds)
        if (k.nsid == nsid) return &k;
    return nullptr;
}

refusal unknown(std::string_view collection) {
    return {"unknown_kind", "this node signs no records of \"" + std::string(collection.substr(0, 317)) + "\""};
}

} // namespace

result<value> complete(const sign_record& what, const circumstances& in) {
    const auto* k = find_kind(what.collection);
    if (!k) return unknown(what.collection);
    if (!what.rkey.empty() && !is_record_key(what.rkey)) return refusal{"bad_record_key", "this is no key that a record may have"};
    auto record = decode_dag_cbor(what.record.data);
    if (!record) return record.error();
    auto* fields = record->as<value::map>();
    if (!fields) return refusal{"wrong_type", "a record is a map"};

    const auto [type, added] = fields->try_emplace("$type", what.collection);
    if (!added && type->second != value(what.collection)) return refusal{"wrong_type", "the record's $type is not its collection, " + what.collection};
    if (what.attest && !k->has_signatures)
        return refusal{"not_attestable", what.collection + " has no field for signatures: its repository vouches for it. Ask without `attest`"};
    if (fields->contains("signatures")) return refusal{"not_attestable", "the record carries signatures already"};
    const auto made = fields->try_emplace("createdAt", to_datetime(in.now)).first->second.as<std::string>();
    if (!made) return refusal{"wrong_type", "createdAt: expected text"};
    if (const auto read = from_datetime(*made); !read) return read.error();

    if (what.chained) {
        if (!is_linked(what.collection)) return refusal{"not_chainable", "only receipts are linked, not " + what.collection};
        fields->erase("previous"); // whatever the draft claims
        if (in.previous) fields->emplace("previous", *in.previous);
    }
    return record;
}

result<void> check_kind(const std::string& collection, const value& record) {
    const auto* k = find_kind(collection);
    if (!k) return unknown(collection);
    if (const auto good = k->check(record); !good) return good;
    return known_lexicons().check_record(collection, record); // the door of whoever reads it asks no less
}

bool is_linked(std::string_view collection) { return collection == ccr::nsid || collection == flat::ccr::nsid; }

bool is_replaceable(const std::string& collection) { return collection == vouch::nsid || collection == market::offering::nsid; }

bool is_withdrawable(const std::string& collection) { return collection == rbac::nsid || collection == vouch::nsid || collection == market::offering::nsid; }

bool say_the_same(const value& a, const value& b) {
    const auto bare = [](const value& record) {
        auto copy = record;
        if (auto* fields = copy.as<value::map>()) fields->erase("createdAt"), fields->erase("signatures");
        return copy;
    };
    return bare(a) == bare(b);
}

} // namespace souk::signing
