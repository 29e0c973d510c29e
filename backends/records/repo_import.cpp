#include <souk/backends/records/repo_import.hpp>

namespace souk::internal {

repo_import::repo_import(const std::filesystem::path& directory, const import_limits& limits)
    : limits_(limits), blocks_(directory), reader_([this](const cid& c, std::string_view bytes) { return blocks_.put(c, bytes); }, limits_.car) {}

result<verified_repo> repo_import::finish(std::string_view did, std::span<const crypto::verifier> keys, const record_visitor& visit) {
    if (auto whole = reader_.finish(); !whole) return whole.error();
    if (auto kept = blocks_.seal(); !kept) return kept.error();
    const auto root = reader_.roots().empty() ? cid() : reader_.roots().front();
    try {
        return verify_repo(root, blocks_, did, keys, visit, limits_.tree);
    } catch (const spool_failure& e) { // "not there" would be a statement about the tree
        return refusal{"disk_error", e.what()};
    }
}

} // namespace souk::internal
