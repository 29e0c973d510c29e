// DIDs, handles, collections, at-uris, paid paths, host labels, CIDs, times and the text forms of bytes.
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/time.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

template <class Read, class Write>
void one_text(std::string_view text, Read&& read, Write&& write) {
    const auto bytes = read(text);
    if (bytes) must(write(*bytes) == text, "bytes have one text");
}

void texts(std::string_view s) {
    one_text(s, from_base64url, to_base64url);
    one_text(s, from_base32, to_base32);
    one_text(s, from_base58, to_base58);
    if (const auto b = from_base64(s)) must(*from_base64(to_base64(*b)) == *b, "base64 comes back");
    if (const auto c = cid::parse(s)) must(c->text() == s, "a CID has one text");
    if (const auto b = from_hex(s)) must(from_hex(to_hex(*b)).value() == *b, "hexadecimal comes back");
    must(is_utf8(to_utf8(s)) && (!is_utf8(s) || to_utf8(s) == s), "what is scrubbed is clean, and what is clean stays");
}

} // namespace

FUZZ {
    texts(bytes);
    is_handle(bytes), is_nsid(bytes), is_record_key(bytes), is_tid(bytes);
    if (is_did(bytes)) must(at_uri::parse("at://" + std::string(bytes) + "/a.b.c/k").has_value(), "a DID names a repository");
    if (const auto uri = at_uri::parse(bytes)) must(uri->text() == bytes, "an at-uri has one text");
    if (const auto at = from_datetime(bytes))
        must(from_datetime(to_datetime(*at)).value() == *at, "a time comes back");
    if (const auto pair = parse_paid_path(bytes)) {
        must(at_uri::parse(pair->uri).has_value() && cid::parse(pair->cid).has_value(), "a paid path holds an at-uri and a CID");
        must(parse_paid_path(pair->uri + '/' + pair->cid).value() == *pair || pair->uri.find("%25") != std::string::npos,
             "a pair comes back");
    }
    const auto middle = bytes.find('\n');
    if (const auto label =
            host_label(bytes.substr(0, middle), middle == std::string_view::npos ? "a.b" : bytes.substr(middle + 1))) {
        must(label->size() <= 63 && label->find("--") == label->rfind("--"), "a label has one divider");
        must(label->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos, "a label is a host's");
    }
}
