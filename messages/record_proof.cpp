#include <souk/messages/record_proof.hpp>

namespace souk {

result<proved_record> verify_record_proof(std::string_view car, std::string_view did, std::string_view path, std::span<const crypto::verifier> keys) {
    if (!is_record_path(path)) return refusal{"bad_path", "no name of a record"};
    const auto blocks = car_view::read(car, {.block = largest_proof, .blocks = 10'000, .bytes = largest_proof});
    if (!blocks) return blocks.error();
    const auto head = blocks->roots().empty() ? std::nullopt : blocks->view(blocks->roots().front());
    if (!head) return refusal{"bad_root", "the first root, the commit, is not among the blocks"};
    const auto commit = decode_commit(*head);
    if (!commit) return commit.error();
    if (const auto own = verify_commit(*commit, did, keys); !own) return own.error();
    const auto there = mst(commit->data, *blocks).get(path);
    if (!there) return there.error();
    proved_record out{commit->rev, {}};
    if (!*there) return out;
    const auto block = blocks->view(**there);
    if (!block) return refusal{"missing_record", "the record of " + std::string(path) + " is not there"};
    auto record = decode_record(**there, *block);
    if (!record) return record.error();
    out.found = proved_record::content{**there, std::move(*record)};
    return out;
}

} // namespace souk
