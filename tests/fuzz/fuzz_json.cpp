#include <souk/messages/json.hpp>

#include "fuzz.hpp"

using namespace souk;

FUZZ {
    for (const auto form : {json_form::plain, json_form::atproto}) {
        const auto v = from_json(bytes, form);
        if (!v) {
            must(!v.error().code.empty(), "a refusal has a code");
            continue;
        }
        must(from_json(to_json(*v, form), form).value() == *v, "JSON comes back");
        // Spaces may take a pretty text over the limit, but never change it.
        const auto pretty = from_json(to_pretty_json(*v, form), form, {.bytes = 1 << 26});
        must(pretty.has_value() && *pretty == *v, "pretty JSON comes back");
    }
}
