// DID documents, addresses of did:web, handles and the texts that name DIDs.
#include <souk/backends/records/resolver_names.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/json.hpp>

#include "fuzz.hpp"

using namespace souk;
using namespace souk::internal;

namespace {

void document(std::string_view bytes) {
    const auto v = from_json(bytes);
    if (!v) return;
    const auto d = read_document(*v, v->text("id"));
    if (!d) {
        must(d.error().code == "bad_did_document", "one code for what is no document");
        return;
    }
    const auto again = read_document(to_json_document(*d), d->did);
    must(again && again->signing == d->signing && again->handles == d->handles && again->pds == d->pds && again->seal_key == d->seal_key && again->services == d->services,
         "a document that was read is read again as it was");
}

void names(std::string_view bytes) {
    for (const bool development : {false, true}) {
        if (const auto url = web_url("did:web:" + std::string(bytes), development)) {
            const bool tls = url->starts_with("https://");
            must(tls || (development && (url->starts_with("http://localhost:") || url->starts_with("http://localhost/"))), "TLS, or a developer's own machine");
            must(url->find("/../") == std::string::npos && url->find('@') == std::string::npos && url->find('?') == std::string::npos, "a host and a path, no more");
        }
        if (const auto handle = handle_of(bytes, development, false)) must(is_handle(*handle) && handle_of(*handle, development, false).value() == *handle, "a handle has one form");
    }
    const auto next = same_host("https://a.example:8/x", bytes);
    must(next.empty() || next.starts_with("https://a.example:8/"), "a redirection stays at its host");
    const auto middle = bytes.find('\n');
    if (const auto did = did_in({std::string(bytes.substr(0, middle)), middle == bytes.npos ? "" : std::string(bytes.substr(middle + 1))}, "a.example"))
        must(did->empty() || is_did(*did), "what DNS names is a DID");
    if (const auto d = key_document(std::string(bytes))) must(d->signing.size() + !d->seal_key.empty() == 1, "a did:key is one key");
}

} // namespace

FUZZ {
    document(bytes);
    names(bytes);
}
