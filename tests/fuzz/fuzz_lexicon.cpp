// A lexicon and a record of it, a line each; and a record to every lexicon that is built in.
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/lexicon.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

void every(const value& record) {
    const std::string type(record.text("$type"));
    const auto one = known_lexicons().check_record(type, record), other = known_lexicons().check_record(type, record);
    must(one.has_value() == other.has_value(), "the same question has the same answer");
    if (!one && known_lexicons().knows(type)) must(one.error().code == "invalid_record" || one.error().code == "unknown_lexicon", "a refusal has its code");
}

} // namespace

FUZZ {
    const auto line = bytes.find('\n');
    if (line != bytes.npos)
        if (const auto document = from_json(bytes.substr(0, line)))
            if (const auto all = lexicons::of({*document}))
                if (const auto v = from_json(bytes.substr(line + 1), json_form::atproto)) (void)all->check_record(document->text("id"), *v), (void)all->check_input(document->text("id"), *v);
    if (const auto v = from_json(bytes, json_form::atproto)) every(*v);
    if (const auto v = decode_dag_cbor(bytes)) every(*v);
}
