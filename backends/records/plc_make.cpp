// did:plc, made: operations as the directory's rules of today take them (plc.hpp).
#include <algorithm>
#include <set>

#include <souk/backends/records/plc.hpp>
#include <souk/backends/records/plc_operation.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>

namespace souk::plc {

using namespace internal;

namespace {

constexpr std::size_t most_methods = 10, largest_operation = 7'500; // as the specification bounds them

value service(const std::string& type, const std::string& endpoint) { return value::map{{"type", type}, {"endpoint", endpoint}}; }

result<value> signed_by(value::map operation, const crypto::secret& key) {
    operation.erase("sig");
    auto signature = crypto::sign(crypto::curve::k256, key, encode_dag_cbor(operation));
    if (!signature) return signature.error();
    operation["sig"] = to_base64url(*signature);
    if (encode_dag_cbor(operation).size() > largest_operation) return refusal{"plc_too_large", "an operation has at most 7,500 bytes"};
    return value(std::move(operation));
}
result<void> check(const value::map& fields) {
    const auto& keys = *fields.at("rotationKeys").as<value::list>();
    std::set<std::string> different;
    for (const auto& one : keys) {
        const auto* text = one.as<std::string>();
        if (!text || !crypto::public_key::from_did_key(*text)) return refusal{"bad_plc_operation", "a rotation key is no did:key"};
        different.insert(*text);
    }
    if (keys.empty() || keys.size() > most_rotation_keys || different.size() != keys.size()) return refusal{"bad_plc_operation", "1 to 5 rotation keys, all different"};
    if (fields.at("verificationMethods").as<value::map>()->size() > most_methods) return refusal{"bad_plc_operation", "at most 10 verification methods"};
    return {};
}
result<void> ours(const value::map& before, const crypto::secret& key) {
    const auto open = crypto::public_of(crypto::curve::k256, key);
    if (!open) return open.error();
    const auto& keys = *before.at("rotationKeys").as<value::list>();
    if (std::find(keys.begin(), keys.end(), value(open->did_key())) == keys.end()) return refusal{"plc_not_ours", "this node's rotation key is none of this identity's"};
    return {};
}

// What these fields become where they are to say what `wanted` says.
void merge(value::map& fields, const genesis_of& wanted) {
    auto& methods = *fields["verificationMethods"].as<value::map>();
    methods["atproto"] = methods["attestation"] = wanted.signing.did_key();
    std::erase_if(methods, [](const auto& m) { return m.first.starts_with("attestation-"); });
    for (std::size_t i = 0; i < wanted.also.size(); ++i) methods["attestation-" + std::to_string(i + 1)] = wanted.also[i].did_key();
    if (!wanted.seal_key.empty()) methods["seal"] = wanted.seal_key;
    auto& services = *fields["services"].as<value::map>();
    if (!wanted.pds.empty()) services["atproto_pds"] = service("AtprotoPersonalDataServer", wanted.pds);
    for (const auto& [id, what] : wanted.services) services[id] = service(what.first, what.second);
    if (!wanted.handle.empty()) { // in place of the first one
        auto& names = *fields["alsoKnownAs"].as<value::list>();
        const auto is_handle = [](const value& v) { return v.as<std::string>() && v.as<std::string>()->starts_with("at://"); };
        const value name = "at://" + wanted.handle;
        if (const auto old = std::find_if(names.begin(), names.end(), is_handle); old != names.end()) names.erase(old);
        names.erase(std::remove(names.begin(), names.end(), name), names.end());
        names.insert(names.begin(), name);
    }
    auto& keys = *fields["rotationKeys"].as<value::list>();
    value::list ranked;
    for (const auto& one : wanted.recovery) ranked.emplace_back(one);
    for (const auto& one : keys)
        if (std::find(ranked.begin(), ranked.end(), one) == ranked.end()) ranked.push_back(one);
    keys = std::move(ranked);
}

} // namespace

value genesis(const genesis_of& what, const crypto::secret& rotation_key) {
    value::map operation{{"rotationKeys", value::list{what.rotation.did_key()}}, {"verificationMethods", value::map{}}, {"alsoKnownAs", value::list{}}, {"services", value::map{}}};
    merge(operation, what);
    if (const auto ok = check(operation); !ok) throw refused(ok.error());
    operation["type"] = "plc_operation", operation["prev"] = null_t{};
    return signed_by(std::move(operation), rotation_key).value();
}

result<value> change(const value& before, const value::map& fields, const crypto::secret& rotation_key) {
    auto operation = fields_of(before);
    if (!operation) return operation.error();
    if (const auto ok = ours(*operation, rotation_key); !ok) return ok.error();
    for (const auto& [name, what] : fields) (*operation)[name] = what;
    operation->emplace("type", "plc_operation"), operation->emplace("prev", cid_of(before).text());
    if (const auto again = fields_of(*operation); !again || operation->size() != 6) return refusal{"bad_plc_operation", "those are no parts of an operation"};
    if (const auto ok = check(*operation); !ok) return ok.error();
    return signed_by(std::move(*operation), rotation_key);
}

result<std::optional<value>> update(const value& before, const genesis_of& wanted, const crypto::secret& rotation_key) {
    const auto said = fields_of(before);
    if (!said) return said.error();
    auto fields = *said;
    merge(fields, wanted);
    if (fields == *said) return std::optional<value>();
    auto next = change(before, fields, rotation_key);
    if (!next) return next.error();
    return std::optional<value>(std::move(*next));
}

result<value> tombstone(const value& before, const crypto::secret& rotation_key) {
    const auto said = fields_of(before);
    if (!said) return said.error();
    if (const auto ok = ours(*said, rotation_key); !ok) return ok.error();
    return signed_by({{"type", "plc_tombstone"}, {"prev", cid_of(before).text()}}, rotation_key);
}

} // namespace souk::plc
