// Three lines: a schema or a whole record, a body, a path.
#include <souk/messages/json.hpp>
#include <souk/messages/rbac.hpp>
#include <souk/messages/schema.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

std::string_view line(std::string_view& rest) {
    const auto end = rest.find('\n');
    const auto one = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return one;
}

} // namespace

FUZZ {
    const auto first = from_json(line(bytes)), body = from_json(line(bytes));
    const std::string path(line(bytes));
    (void)render_subject(path, "actx", "did:plc:a", path);
    if (!first || !body) return;
    (void)check_schema(*first, *body);
    const request_shape request{path, "create", *body};
    if (const auto r = from_record<rbac>(*first)) {
        (void)allows({*r}, "i", "a", "s", request);
        must(allows({*r}, "", "", "", request).has_error(), "nobody is allowed nothing");
    }
    rbac made;
    made.roles["r"] =
        value::map{{"definition", value::map{{"iss", "i"}, {"aud", "a"}, {"sub", "s"}, {"policies", value::list{"p"}}}}};
    made.policies["p"] = value::map{{"schemas", value::map{{"/xrpc/*", *first}}}};
    if (allows({made}, "i", "a", "s", request)) must(path.starts_with("/xrpc/"), "a pattern is anchored");
    must(allows({made}, "i", "a", "other", request).has_error(), "another subject has no role");
}
