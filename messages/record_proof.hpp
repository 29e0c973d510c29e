// What a repository says under one name, proved: com.atproto.sync.getRecord answers with a CAR of the signed commit, the nodes on the way, and the record.
#pragma once
#include <optional>
#include <span>

#include <souk/messages/commit.hpp>

namespace souk {

struct proved_record {
    std::string rev; // of the commit: a later one says later
    struct content {
        cid id;
        value record;
    };
    std::optional<content> found; // none: it is proved that there is none
};

inline constexpr std::size_t largest_proof = 2 << 20; // a record of 1 MiB and the way to it

// Codes: those of car_view, decode_commit, verify_commit and mst, "bad_root", "bad_path", "missing_record", "bad_record".
result<proved_record> verify_record_proof(std::string_view car, std::string_view did, std::string_view path, std::span<const crypto::verifier> keys);

} // namespace souk
