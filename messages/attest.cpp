#include <souk/messages/attest.hpp>

#include <algorithm>

namespace souk {

namespace {

constexpr std::size_t most_signatures = 8;

std::string where(std::size_t index) { return "signatures[" + std::to_string(index) + "]: "; }

// What an entry vouches for: the record less its signatures, with the entry's own words and the repository inside.
cid signed_cid(value::map record, value::map entry, std::string_view repository) {
    entry.erase("cid");
    entry.erase("signature");
    entry.insert_or_assign("repository", repository);
    record.erase("signatures");
    record.insert_or_assign("$sig", std::move(entry));
    return cid_of(value(std::move(record)));
}

result<const value::map*> plain_map(const value& record) {
    const auto* m = record.as<value::map>();
    if (!m) return refusal{"wrong_type", "a record is a map"};
    if (m->contains("$sig")) return refusal{"wrong_type", "$sig: no record has this field"};
    return m;
}

// Its CID and signature, by the key that it names.
result<crypto::public_key> check_entry(const value::map& record, const value::map& raw, const inline_signature& entry,
                                       std::string_view repository) {
    const auto key = crypto::public_key::from_did_key(entry.key);
    if (!key) return key.error();
    const auto what = signed_cid(record, raw, repository);
    if (what.text() != entry.cid)
        return refusal{"signature_cid_mismatch",
                       "it is over " + entry.cid + ", but the record in this repository makes " + what.text()};
    if (auto well = crypto::verify(*key, what.bytes(), entry.signature.data); !well) return well.error();
    return key;
}

result<void> check_binding(const inline_signature& entry, const crypto::public_key& key, const keys_of_did& keys_of) {
    const auto keys = keys_of(entry.issuer);
    if (!keys) return keys.error();
    if (std::ranges::find(*keys, key) != keys->end()) return {};
    return refusal{"key_not_of_issuer", entry.key + " is not among the keys of " + entry.issuer};
}

bool is_inline(const value& entry) { return entry.text("$type") == inline_signature::nsid; }
bool is_reference(const value& entry) { return entry.find("uri") && entry.find("cid") && !entry.find("signature"); }

struct read_entry {
    std::size_t index = 0;
    const value::map* raw = nullptr;
    inline_signature entry;
};

result<std::vector<read_entry>> inline_entries(const value& record) {
    const auto* signatures = record.find("signatures");
    const auto* list = signatures ? signatures->as<value::list>() : nullptr;
    if (signatures && !list) return refusal{"wrong_type", "signatures: expected a list"};
    if (list && list->size() > most_signatures) return refusal{"too_many_signatures", "a record has at most 8 signatures"};
    std::vector<read_entry> out;
    for (std::size_t i = 0; list && i < list->size(); ++i) {
        const auto& each = (*list)[i];
        if (!is_inline(each) && is_reference(each)) continue;
        // A field that is unknown here (a role, say) is signed with the rest, so it may stand.
        auto entry = from_value<inline_signature>(each, unknown_fields::ignore);
        if (!entry) return refusal{"wrong_type", where(i) + entry.error().text};
        out.push_back({i, each.as<value::map>(), std::move(*entry)});
    }
    return out;
}

} // namespace

result<void> attest(value& record, std::string_view repository, std::string_view issuer, crypto::curve on,
                    const crypto::secret& key, std::string_view issued_at) {
    if (auto m = plain_map(record); !m) return m.error();
    const auto open = crypto::public_of(on, key);
    if (!open) return open.error();
    auto& m = *record.as<value::map>();
    auto& signatures = m.try_emplace("signatures", value::list{}).first->second;
    if (!signatures.as<value::list>()) return refusal{"wrong_type", "signatures: expected a list"};
    value::map entry{{"$type", inline_signature::nsid}, {"issuer", issuer}, {"key", open->did_key()}};
    if (!issued_at.empty()) entry.emplace("issuedAt", issued_at);
    const auto what = signed_cid(m, entry, repository);
    auto signature = crypto::sign(on, key, what.bytes());
    if (!signature) return signature.error();
    entry.emplace("cid", what.text());
    entry.emplace("signature", octets{std::move(*signature)});
    signatures.as<value::list>()->push_back(std::move(entry));
    return {};
}

result<void> check_attestation(const value& record, std::string_view repository, std::string_view author,
                               const keys_of_did& keys_of) {
    const auto m = plain_map(record);
    if (!m) return m.error();
    const auto entries = inline_entries(record);
    if (!entries) return entries.error();
    if (entries->empty()) return refusal{"unsigned", "the record has no signature of its own"};
    // Asked first: it costs nothing, and a stranger's signatures are then never worth a look-up.
    if (std::ranges::none_of(*entries, [&](const auto& e) { return e.entry.issuer == author; }))
        return refusal{"issuer_not_author", "no signature is by " + std::string(author)};
    for (const auto& e : *entries) {
        const auto key = check_entry(**m, *e.raw, e.entry, repository);
        if (!key) return refusal{key.error().code, where(e.index) + key.error().text};
        if (auto bound = check_binding(e.entry, *key, keys_of); !bound)
            return refusal{bound.error().code, where(e.index) + bound.error().text};
    }
    return {};
}

result<cid> remote_cid(const value& record, const value& subject, std::string_view repository) {
    const auto said = plain_map(record), about = plain_map(subject);
    if (!said) return said.error();
    if (!about) return about.error();
    auto entry = **said;
    entry.erase("signatures");
    return signed_cid(**about, std::move(entry), repository);
}

} // namespace souk
