// A list of records: the first is read as every speech of every generation, the rest are what it may consist of. What is understood is said again
// in each generation that can say it, and understood the same.
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

template <class Said, class Read>
void again(dialect d, const result<std::vector<draft>>& drafts, const Said& said, const Read& read) {
    if (!drafts) return;
    std::vector<strong_ref> refs;
    std::vector<value> parts;
    for (const auto& one : *drafts) {
        parts.push_back(filled(one, refs));
        refs.push_back({"at://did:plc:x/" + one.collection + "/k", cid_of(parts.back()).text()});
    }
    const auto back = read(drafts->back().collection, parts.back(), parts);
    must(back.has_value(), "what was said can be read");
    must(back->by == d, "in the generation that it was said in");
    must(back->said == said, "and says the same");
}

template <class Read, class Write>
void all(const value& record, const std::vector<value>& parts, speech what, const Read& read, const Write& write) {
    for (const auto from : all_dialects) {
        const auto r = read(collection_of(from, what), record, parts);
        if (!r) continue;
        for (const auto d : all_dialects) again(d, write(d, r->said, d == dialect::g4 ? "did:plc:x#y" : ""), r->said, read);
    }
}

void read_all(const value& v) {
    const auto* list = v.as<value::list>();
    if (!list || list->empty() || list->size() > 4) return;
    const auto& record = list->front();
    const std::vector<value> parts(list->begin() + 1, list->end());
    (void)parts_of(record);
    all(record, parts, speech::request, read_request, write_request);
    all(record, parts, speech::bid, read_bid, write_bid);
    all(record, parts, speech::accept, [](std::string_view c, const value& r, const std::vector<value>&) { return read_accept(c, r); }, write_accept);
    all(record, parts, speech::receipt, [](std::string_view c, const value& r, const std::vector<value>&) { return read_receipt(c, r); },
        [](dialect d, const ccr& r, const std::string& to) { return write_receipt(d, r, to, value::map{}, "did:plc:x"); });
}

} // namespace

FUZZ {
    if (const auto v = from_json(bytes, json_form::atproto)) read_all(*v);
    if (const auto v = decode_dag_cbor(bytes)) read_all(*v);
}
