// did:plc, read (plc.hpp). What makes operations is in plc_make.cpp.
#include <algorithm>

#include <souk/backends/records/plc.hpp>
#include <souk/backends/records/plc_operation.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>

namespace souk::plc {

using namespace internal;

namespace {

constexpr std::size_t most_operations = 1000, most_entries = 64, id_length = 24;
constexpr std::size_t most_bytes = 16 * 1024; // of one; directories take 7,500 now and took more once
constexpr std::chrono::hours recovery_window{72};

refusal bad(std::string why) { return {"bad_plc_log", std::move(why)}; }

// An operation as it counts: the legacy form ("create") reads as the one that it stands for.
struct meaning {
    bool tombstone = false;
    std::vector<crypto::public_key> rotation; // most powerful first
    value::map fields;
};

result<std::vector<crypto::public_key>> keys_of(const value& rotation) {
    const auto* texts = rotation.as<value::list>();
    std::vector<crypto::public_key> all;
    if (!texts || texts->empty() || texts->size() > most_rotation_keys) return bad("an operation has 1 to 5 rotation keys");
    for (const auto& one : *texts) {
        const auto* text = one.as<std::string>();
        auto key = text ? crypto::public_key::from_did_key(*text) : bad("");
        if (!key) return bad("a rotation key is no did:key");
        all.push_back(std::move(*key));
    }
    return all;
}

result<meaning> read(const value& operation) {
    meaning m;
    if (operation.text("type") == "plc_tombstone") return m.tombstone = true, m;
    auto fields = fields_of(operation);
    if (!fields) return bad(fields.error().text);
    auto keys = keys_of(fields->at("rotationKeys"));
    if (!keys) return keys.error();
    m.rotation = std::move(*keys), m.fields = std::move(*fields);
    return m;
}

// The document that this operation stands for, through the reader of documents, so that one rule says what is usable.
result<did_document> document_of(const std::string& did, const value::map& fields) {
    value::list methods, services;
    for (const auto& [name, key] : *fields.at("verificationMethods").as<value::map>()) {
        const auto* text = key.as<std::string>();
        if (!text || !text->starts_with("did:key:")) continue;
        methods.emplace_back(value::map{{"id", did + '#' + name}, {"type", "Multikey"}, {"controller", did}, {"publicKeyMultibase", text->substr(8)}});
    }
    for (const auto& [name, service] : *fields.at("services").as<value::map>())
        if (!service.text("endpoint").empty())
            services.emplace_back(value::map{{"id", '#' + name}, {"type", service.text("type")}, {"serviceEndpoint", service.text("endpoint")}});
    const auto* names = fields.at("alsoKnownAs").as<value::list>();
    value::list first(names->begin(), names->begin() + static_cast<std::ptrdiff_t>(std::min(names->size(), most_entries)));
    return read_document(value::map{{"id", did}, {"alsoKnownAs", std::move(first)}, {"verificationMethod", std::move(methods)}, {"service", std::move(services)}}, did);
}

// The place of the first of these keys that signed it.
std::optional<std::size_t> signer(const std::vector<crypto::public_key>& keys, const value& operation) {
    const auto signature = from_base64url(operation.text("sig"));
    if (!signature || signature->size() != 64) return std::nullopt;
    const auto bytes = encode_dag_cbor(unsigned_part(operation));
    const auto at = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return crypto::verify(key, bytes, *signature).has_value(); });
    if (at == keys.end()) return std::nullopt;
    return static_cast<std::size_t>(at - keys.begin());
}

// What one element of a log claims; a bare operation claims nothing but itself.
struct claim {
    const value* operation = nullptr;
    std::optional<instant> at;
    bool nullified = false;
};
result<claim> claim_of(const std::string& did, const value& one, bool audit) {
    if (!one.as<value::map>()) return bad("an operation is an object");
    if (!audit) return claim{&one, {}, false};
    claim c;
    c.operation = one.find("operation");
    const auto* flag = one.find("nullified");
    if (one.text("did") != did || !c.operation || !c.operation->as<value::map>() || !flag || !flag->as<bool>()) return bad("not an entry of this DID's audit log");
    const auto at = from_datetime(one.text("createdAt"));
    if (!at) return bad("an entry without the time it was taken at");
    c.at = *at, c.nullified = *flag->as<bool>();
    return c;
}

// Walks a log by the rules, one operation at a time.
class walk {
public:
    walk(const std::string& did, bool audit) : audit_(audit) { h_.did = did; }

    result<void> take(const value& one) {
        const auto c = claim_of(h_.did, one, audit_);
        if (!c) return c.error();
        const auto& operation = *c->operation;
        const auto bytes = encode_dag_cbor(operation);
        if (bytes.size() > most_bytes) return bad("an operation of more than 16 KiB");
        entry e{cid::of_dag_cbor(bytes), c->at, c->nullified, 0, operation};
        if (audit_ && one.text("cid") != e.id.text()) return bad("an operation has another CID than its entry says");
        if (audit_ && !h_.all.empty() && *e.at < *h_.all.back().at) return bad("the entries are not in the order they were taken in");
        auto means = read(operation);
        if (!means) return means.error();
        if (const auto ok = h_.all.empty() ? begin(operation, *means) : follow(operation, e); !ok) return ok.error();
        counting_.push_back(h_.all.size());
        h_.all.push_back(std::move(e)), means_.push_back(std::move(*means));
        return {};
    }
    result<history> end() {
        std::vector<bool> counts(h_.all.size(), false);
        for (const auto i : counting_) counts[i] = true;
        for (std::size_t i = 0; i < counts.size(); ++i)
            if (h_.all[i].nullified == counts[i]) return bad("the log's word on which operations are nullified is not what the rules say");
        h_.head = counting_.back();
        h_.given_up = means_[h_.head].tombstone;
        h_.document.did = h_.did;
        if (h_.given_up) return std::move(h_);
        auto d = document_of(h_.did, means_[h_.head].fields);
        if (!d) return bad(d.error().text);
        h_.document = std::move(*d);
        return std::move(h_);
    }

private:
    result<void> begin(const value& operation, const meaning& means) const {
        const auto* prev = operation.find("prev");
        if (!prev || !prev->is_null() || means.tombstone) return bad("the first operation makes the DID");
        if (did_of(operation) != h_.did) return bad("the first operation makes another DID, " + did_of(operation));
        if (!signer(means.rotation, operation)) return bad("the first operation is not signed by one of its rotation keys");
        return {};
    }
    result<void> follow(const value& operation, entry& e) {
        if (operation.text("type") == "create") return bad("the legacy form only begins a log");
        const auto at = std::find_if(counting_.begin(), counting_.end(), [&](std::size_t i) { return h_.all[i].id.text() == operation.text("prev"); });
        if (at == counting_.end()) return bad("an operation follows none that counts");
        if (means_[*at].tombstone) return bad("an operation after the last one");
        auto keys = means_[*at].rotation;
        const auto disputed = at + 1;
        if (disputed != counting_.end()) {
            // History is rewritten: by a key that outranks the one it disputes, and not for ever.
            if (!audit_) return bad("an operation does not follow the one before it");
            keys.resize(h_.all[*disputed].by);
            if (*e.at - *h_.all[*disputed].at > recovery_window) return bad("an operation that disputes another comes more than 72 hours after it");
        }
        const auto by = signer(keys, operation);
        if (!by) return bad(disputed == counting_.end() ? "an operation is not signed by a rotation key of the time" : "an operation disputes another without a key that outranks its");
        e.by = *by;
        counting_.erase(disputed, counting_.end());
        return {};
    }

    const bool audit_;
    history h_;
    std::vector<meaning> means_;         // of each
    std::vector<std::size_t> counting_; // those that count so far, oldest first
};

} // namespace

std::string did_of(const value& genesis_operation) {
    return "did:plc:" + to_base32(crypto::sha256(encode_dag_cbor(genesis_operation))).substr(0, id_length);
}

result<history> read_history(const std::string& did, const value& log) {
    const auto* all = log.as<value::list>();
    if (!all || all->empty() || all->size() > most_operations) return bad("a log has 1 to " + std::to_string(most_operations) + " operations");
    walk w(did, all->front().find("operation") != nullptr);
    for (const auto& one : *all)
        if (const auto ok = w.take(one); !ok) return ok.error();
    return w.end();
}

result<did_document> verify_log(const std::string& did, const value& log) {
    auto h = read_history(did, log);
    if (!h) return h.error();
    if (h->given_up) return refusal{"did_given_up", did + " was given up"};
    return std::move(h->document);
}

bool history::has(const cid& id) const {
    return std::any_of(all.begin(), all.end(), [&](const entry& e) { return e.id == id; });
}
value::list history::operations() const {
    value::list out;
    for (const auto& e : all)
        if (!e.nullified) out.push_back(e.operation);
    return out;
}
value history::audit() const {
    value::list out;
    for (const auto& e : all)
        out.push_back(value::map{{"did", did}, {"operation", e.operation}, {"cid", e.id.text()}, {"nullified", e.nullified}, {"createdAt", to_datetime(e.at.value_or(instant{}))}});
    return out;
}

// -- one operation ----------------------------------------------------------------------------------------------------------------------------

value internal::unsigned_part(const value& operation) {
    auto all = *operation.as<value::map>();
    all.erase("sig");
    return all;
}

result<value::map> internal::fields_of(const value& operation) {
    const auto no = [](const char* why) { return refusal{"bad_plc_operation", why}; };
    value::map fields;
    if (operation.text("type") == "create") {
        const std::string handle(operation.text("handle")), service(operation.text("service")), key(operation.text("signingKey"));
        fields["rotationKeys"] = value::list{operation.text("recoveryKey"), key};
        fields["verificationMethods"] = value::map{{"atproto", key}};
        fields["alsoKnownAs"] = value::list{handle.starts_with("at://") ? handle : "at://" + handle};
        fields["services"] = value::map{{"atproto_pds", value::map{{"type", "AtprotoPersonalDataServer"},
                                                                   {"endpoint", service.starts_with("http://") || service.starts_with("https://") ? service : "https://" + service}}}};
        if (service.empty()) fields["services"] = value::map{};
        return fields;
    }
    if (operation.text("type") != "plc_operation") return no("not an operation");
    for (const char* name : {"rotationKeys", "verificationMethods", "alsoKnownAs", "services"}) {
        const auto* found = operation.find(name);
        const bool list = name == std::string_view("rotationKeys") || name == std::string_view("alsoKnownAs");
        if (!found || !(list ? found->as<value::list>() != nullptr : found->as<value::map>() != nullptr)) return no("an operation lacks one of its four parts");
        fields[name] = *found;
    }
    return fields;
}

} // namespace souk::plc
