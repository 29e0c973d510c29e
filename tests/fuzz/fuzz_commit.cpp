#include <souk/messages/commit.hpp>
#include <souk/messages/dag_cbor.hpp>

#include "fuzz.hpp"

using namespace souk;

FUZZ {
    if (const auto c = decode_commit(bytes)) {
        must(encode_commit(*c) == bytes, "one commit has one encoding");
        must(verify_commit(*c, c->did, {}).error().code == "no_keys", "nothing is signed by nobody");
    }
    static const std::vector<crypto::verifier> keys{
        crypto::verifier::of(crypto::public_of(crypto::curve::k256, crypto::secret(std::string(32, '\1'))).value()).value()};
    std::size_t records = 0;
    const auto repo =
        verify_repo(bytes, "did:plc:alice", keys, [&](std::string_view path, const cid& id, std::string_view block, value& v) -> result<void> {
            must(is_record_path(path) && cid::of_dag_cbor(block) == id && encode_dag_cbor(v) == block, "a record is what its CID says");
            return ++records, result<void>();
        });
    must(repo ? repo->records == records : !repo.error().code.empty(), "all of a repository, or why not");
}
