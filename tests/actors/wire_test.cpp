#include "virtual_time.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>

using namespace souk;

namespace {

template <class T>
result<T> carried(T what) { // as the cluster carries it
    caf::binary_serializer::container_type bytes;
    caf::binary_serializer out{nullptr, bytes};
    if (auto e = out(what)) return refusal{"not_sent", "it cannot be written"};
    T read;
    caf::binary_deserializer in{nullptr, bytes};
    if (auto e = in(read)) return refusal{"not_read", "it cannot be read"};
    return read;
}

} // namespace

TEST_CASE_FIXTURE(virtual_time, "a login reaches a broker on another host, the key's bytes as they are") {
    const std::string blob("\0\0\0\x0bssh-ed25519\0\0\0\x20\xff\xfe\x80", 22);
    const auto read = carried(login_question{"alice.example", "ssh-ed25519", blob});
    REQUIRE(code(read) == "good");
    CHECK(read->user == "alice.example");
    CHECK(read->key_blob.data == blob);
}

TEST_CASE_FIXTURE(virtual_time, "a stranger's text that is not UTF-8 is not sent; it ends nothing") {
    CHECK(code(carried(proxied_write{"token", "/xrpc/x", "{\"a\":\"\xff\"}"})) == "not_sent");
    CHECK(code(carried(proxied_write{"token", "/xrpc/x", "{\"a\":\"\xc3\xa9\"}"})) == "good");
}
