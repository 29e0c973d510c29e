#include <souk/backends/records/frame.hpp>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

namespace souk::internal {

namespace {

// The CID that the content has, if it is the one that was said.
result<cid> true_cid(const value& record, std::string_view said) {
    if (!record.as<value::map>()) return refusal{"bad_record", "a record is a map"};
    auto computed = cid_of(record);
    if (computed.text() != said)
        return refusal{"cid_mismatch", "the content's CID is " + computed.text() + ", not " + std::string(said.substr(0, 100))};
    return computed;
}

} // namespace

std::string to_frame(const stored_record& r) {
    if (r.removed)
        return to_json(value::map{{"did", r.uri.did},
                                  {"time_us", r.time_us},
                                  {"kind", "commit"},
                                  {"commit", value::map{{"operation", "delete"}, {"collection", r.uri.collection}, {"rkey", r.uri.rkey}}}},
                       json_form::atproto);
    return to_json(value::map{{"did", r.uri.did},
                              {"time_us", r.time_us},
                              {"kind", "commit"},
                              {"commit", value::map{{"operation", r.updated ? "update" : "create"},
                                                    {"collection", r.uri.collection},
                                                    {"rkey", r.uri.rkey},
                                                    {"cid", r.cid.text()},
                                                    {"record", r.value}}}},
                   json_form::atproto);
}

result<std::optional<stored_record>> from_frame(std::string_view text) {
    json_limits limits;
    limits.bytes = largest_record_json;
    const auto frame = from_json(text, json_form::atproto, limits);
    if (!frame) return refusal{"bad_frame", frame.error().code + ": " + frame.error().text};
    if (frame->text("kind") != "commit") return std::optional<stored_record>();
    const auto *time = frame->find("time_us"), *commit = frame->find("commit");
    if (!time || !time->as<std::int64_t>() || *time->as<std::int64_t>() <= 0 || !commit)
        return refusal{"bad_frame", "a commit without its time or content"};
    const auto operation = commit->text("operation");
    const bool removed = operation == "delete";
    if (!removed && operation != "create" && operation != "update") return refusal{"bad_frame", "an operation that is not known"};
    auto uri = at_uri{std::string(frame->text("did")), std::string(commit->text("collection")), std::string(commit->text("rkey"))};
    if (!is_did(uri.did) || !is_nsid(uri.collection) || !is_record_key(uri.rkey))
        return refusal{"bad_frame", "a record without a proper name"};
    if (removed) return std::optional(stored_record{std::move(uri), {}, {}, *time->as<std::int64_t>(), false, true});
    const auto* record = commit->find("record");
    auto cid = record ? true_cid(*record, commit->text("cid")) : refusal{"bad_frame", "a commit without its record"};
    if (!cid) return cid.error();
    return std::optional(stored_record{std::move(uri), std::move(*cid), *record, *time->as<std::int64_t>(), operation == "update", false});
}

value to_entry(const stored_record& r) { return value::map{{"uri", r.uri.text()}, {"cid", r.cid.text()}, {"value", r.value}}; }

result<stored_record> from_entry(const value& entry, const std::string& did, const std::string& collection) {
    auto uri = at_uri::parse(entry.text("uri"));
    if (!uri || uri->did != did || uri->collection != collection)
        return refusal{"bad_record", "the answer is about another record"};
    const auto* what = entry.find("value");
    auto cid = what ? true_cid(*what, entry.text("cid")) : refusal{"bad_record", "the answer has no record in it"};
    if (!cid) return cid.error();
    return stored_record{std::move(*uri), std::move(*cid), *what, 0, false, false};
}

} // namespace souk::internal
