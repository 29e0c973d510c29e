#include <souk/actors/common/verified.hpp>

#include <souk/actors/common/planted.hpp>
#include <souk/messages/lexicon.hpp>

namespace souk {

namespace {

void check_author(record_network& net, verified_record r, std::function<void(result<verified_record>)> then) {
    const auto did = r.uri.did;
    net.keys(did, [r = std::move(r), then = std::move(then)](result<did_document> doc) mutable {
        if (!doc) return then(doc.error());
        r.author = std::move(*doc);
        const auto keys = [&](std::string_view who) -> result<std::vector<crypto::public_key>> {
            if (who != r.uri.did) return refusal{"issuer_not_author", "a signature by " + std::string(who) + " in a record of " + r.uri.did};
            return r.author.signing;
        };
        if (planted(defect::unsigned_believed)) return then(std::move(r));
        if (const auto ok = check_attestation(r.content, r.uri.did, r.uri.did, keys); !ok) return then(ok.error());
        then(std::move(r));
    });
}

} // namespace

void verify_note(record_network& net, const record_note& note, std::function<void(result<verified_record>)> then) {
    auto uri = at_uri::parse(note.uri);
    if (!uri) return then(uri.error());
    if (cid::of_dag_cbor(note.record.data).text() != note.cid) return then(refusal{"cid_mismatch", note.uri + " does not have the content that its CID names"});
    auto content = decode_dag_cbor(note.record.data);
    if (!content) return then(content.error());
    // One that names no type is what its collection says (the first receipts were so); whether its kind may is for its reader.
    if (const auto* type = content->find("$type"); type && *type != value(uri->collection)) return then(refusal{"wrong_type", note.uri + " is not a record of its collection"});
    if (const auto& all = known_lexicons(); all.knows(uri->collection))
        if (const auto good = all.check_record(uri->collection, *content); !good) return then(good.error());
    check_author(net, {{note.uri, note.cid}, std::move(*uri), std::move(*content), {}, {}}, std::move(then));
}

void gather_parts(record_network& net, verified_record r, std::function<void(result<verified_record>)> then) {
    const auto wanted = parts_of(r.content);
    if (r.parts.size() >= wanted.size()) return then(std::move(r));
    const auto next = wanted[r.parts.size()];
    net.fetch(next, [&net, r = std::move(r), then = std::move(then)](result<stored_record> found) mutable {
        if (!found) return then(found.error().code == "record_not_found" ? refusal{"record_unreachable", found.error().text} : found.error());
        const auto& part = found->value;
        if (const auto& all = known_lexicons(); all.knows(part.text("$type")))
            if (const auto good = all.check_record(part.text("$type"), part); !good) return then(good.error());
        r.parts.push_back(part);
        gather_parts(net, std::move(r), std::move(then));
    });
}

void verify_reference(record_network& net, const strong_ref& ref, std::function<void(result<verified_record>)> then) {
    net.fetch(ref, [&net, ref, then = std::move(then)](result<stored_record> found) mutable {
        if (!found) return then(found.error());
        verify_note(net, {ref.uri, ref.cid, encode_dag_cbor(found->value)}, std::move(then));
    });
}

} // namespace souk
