// did:plc: https://web.plc.directory/spec/v0.1/did-plc
#include <algorithm>

#include <souk/backends/records/identity.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>

namespace souk::plc {

namespace {

constexpr std::size_t most_operations = 1000, most_rotation_keys = 10, most_entries = 64, most_bytes = 16 * 1024, id_length = 24;

refusal bad(std::string why) { return {"bad_plc_log", std::move(why)}; }

value unsigned_part(const value& operation) {
    auto all = *operation.as<value::map>();
    all.erase("sig");
    return all;
}

// An operation as it counts: the legacy form ("create") reads as the one that it stands for.
struct operation {
    bool tombstone = false;
    std::vector<crypto::public_key> rotation;
    std::vector<std::pair<std::string, std::string>> methods; // name, did:key
    std::vector<std::string> handles;
    std::string pds;
};

result<std::vector<crypto::public_key>> keys_of(const value::list& texts) {
    std::vector<crypto::public_key> all;
    if (texts.empty() || texts.size() > most_rotation_keys) return bad("an operation has 1 to 10 rotation keys");
    for (const auto& one : texts) {
        const auto* text = one.as<std::string>();
        auto key = text ? crypto::public_key::from_did_key(*text) : bad("");
        if (!key) return bad("a rotation key is no did:key");
        all.push_back(std::move(*key));
    }
    return all;
}

void read_names(const value& from, operation& into) {
    const auto* names = from.find("alsoKnownAs");
    const auto* all = names ? names->as<value::list>() : nullptr;
    if (!all || all->size() > most_entries) return;
    for (const auto& one : *all) {
        const auto* text = one.as<std::string>();
        if (text && text->starts_with("at://") && is_handle(std::string_view(*text).substr(5)))
            into.handles.push_back(text->substr(5));
    }
}

result<operation> read_legacy(const value& v) {
    operation o;
    auto keys = keys_of({v.text("recoveryKey"), v.text("signingKey")});
    if (!keys) return keys.error();
    o.rotation = std::move(*keys);
    o.methods.emplace_back("atproto", v.text("signingKey"));
    if (is_handle(v.text("handle"))) o.handles.emplace_back(v.text("handle"));
    o.pds = v.text("service");
    return o;
}

result<operation> read(const value& v) {
    operation o;
    const auto type = v.text("type");
    if (type == "create") return read_legacy(v);
    if (type == "plc_tombstone") return o.tombstone = true, o;
    const auto *rotation = v.find("rotationKeys"), *methods = v.find("verificationMethods"), *services = v.find("services");
    const auto* all = methods ? methods->as<value::map>() : nullptr;
    if (type != "plc_operation" || !rotation || !rotation->as<value::list>() || !all || !services) return bad("not an operation");
    auto keys = keys_of(*rotation->as<value::list>());
    if (!keys) return keys.error();
    o.rotation = std::move(*keys);
    for (const auto& [name, key] : *all)
        if (const auto* text = key.as<std::string>()) o.methods.emplace_back(name, *text);
    read_names(v, o);
    if (const auto* pds = services->find("atproto_pds"); pds && pds->text("type") == "AtprotoPersonalDataServer")
        o.pds = pds->text("endpoint");
    return o;
}

// The document that this operation stands for, through the reader of documents, so that one rule says what is usable.
result<did_document> document_of(const std::string& did, const operation& o) {
    value::list methods, names, services;
    for (const auto& [name, key] : o.methods) {
        if (!key.starts_with("did:key:")) continue;
        methods.emplace_back(
            value::map{{"id", did + '#' + name}, {"type", "Multikey"}, {"controller", did}, {"publicKeyMultibase", key.substr(8)}});
    }
    for (const auto& handle : o.handles) names.push_back("at://" + handle);
    if (!o.pds.empty())
        services.emplace_back(
            value::map{{"id", "#atproto_pds"}, {"type", "AtprotoPersonalDataServer"}, {"serviceEndpoint", o.pds}});
    return read_document(value::map{{"id", did}, {"alsoKnownAs", names}, {"verificationMethod", methods}, {"service", services}},
                         did);
}

bool signed_by_one_of(const std::vector<crypto::public_key>& keys, const value& v) {
    const auto signature = from_base64url(v.text("sig"));
    if (!signature || signature->size() != 64) return false;
    const auto bytes = encode_dag_cbor(unsigned_part(v));
    return std::any_of(keys.begin(), keys.end(),
                       [&](const auto& key) { return crypto::verify(key, bytes, *signature).has_value(); });
}

} // namespace

value genesis(const genesis_of& what, const crypto::secret& rotation_key) {
    value::map methods{{"atproto", what.signing.did_key()}, {"attestation", what.signing.did_key()}};
    if (!what.seal_key.empty()) methods.emplace("seal", what.seal_key);
    value::map operation{
        {"type", "plc_operation"},
        {"rotationKeys", value::list{what.rotation.did_key()}},
        {"verificationMethods", std::move(methods)},
        {"alsoKnownAs", value::list{"at://" + what.handle}},
        {"services", value::map{{"atproto_pds", value::map{{"type", "AtprotoPersonalDataServer"}, {"endpoint", what.pds}}}}},
        {"prev", null_t{}}};
    const auto signature = crypto::sign(what.rotation.on, rotation_key, encode_dag_cbor(operation)).value();
    operation.emplace("sig", to_base64url(signature));
    return operation;
}

std::string did_of(const value& genesis_operation) {
    return "did:plc:" + to_base32(crypto::sha256(encode_dag_cbor(genesis_operation))).substr(0, id_length);
}

result<did_document> verify_log(const std::string& did, const value& log) {
    const auto* all = log.as<value::list>();
    if (!all || all->empty() || all->size() > most_operations)
        return bad("a log has 1 to " + std::to_string(most_operations) + " operations");
    operation last;
    std::string before; // CID of the operation before
    for (const auto& one : *all) {
        if (!one.as<value::map>()) return bad("an operation is an object");
        const auto bytes = encode_dag_cbor(one);
        if (bytes.size() > most_bytes) return bad("an operation of more than 16 KiB");
        if (last.tombstone) return bad("an operation after the last one");
        auto now = read(one);
        if (!now) return now.error();
        if (!before.empty() && one.text("type") == "create") return bad("the legacy form only begins a log");
        const auto* prev = one.find("prev");
        if (before.empty()) {
            if (!prev || !prev->is_null() || now->tombstone) return bad("the first operation makes the DID");
            if (did_of(one) != did) return bad("the first operation makes another DID, " + did_of(one));
        } else if (one.text("prev") != before) {
            return bad("an operation does not follow the one before it");
        }
        if (!signed_by_one_of(before.empty() ? now->rotation : last.rotation, one))
            return bad("an operation is not signed by a rotation key of the time");
        before = cid::of_dag_cbor(bytes).text();
        last = std::move(*now);
    }
    if (last.tombstone) return bad("this DID was given up");
    auto d = document_of(did, last);
    if (!d) return bad(d.error().text);
    return d;
}

} // namespace souk::plc
