#include <souk/messages/commit.hpp>

#include <souk/messages/at.hpp>
#include <souk/messages/cbor.hpp>
#include <souk/messages/time.hpp>

namespace souk {

namespace {

constexpr std::int64_t current_version = 3;
constexpr std::size_t largest_commit = 8 * 1024; // a DID is at most 2 KiB
constexpr std::size_t signature_size = 64;
constexpr char dag_cbor_codec = 0x71;

bool dag_cbor(const cid& c) { return !c.empty() && c.bytes()[1] == dag_cbor_codec; }

template <class T>
const T* field(const value& v, std::string_view name) {
    const auto* found = v.find(name);
    return found ? found->as<T>() : nullptr;
}

result<void> fit(const repo_commit& c) {
    if (!is_did(c.did)) return refusal{"bad_commit", "did is no DID"};
    if (!is_tid(c.rev)) return refusal{"bad_commit", "rev is no TID"};
    if (!dag_cbor(c.data)) return refusal{"bad_commit", "data is not the CID of a node"};
    return {};
}

} // namespace

std::string encode_commit(const repo_commit& c) {
    std::string out;
    cbor_writer w(out);
    w.map(c.sig.empty() ? 5 : 6);
    w.key("did"), w.text(c.did);
    w.key("rev"), w.text(c.rev);
    if (!c.sig.empty()) w.key("sig"), w.bytes(c.sig);
    w.key("data"), w.link(c.data);
    w.key("prev"), c.prev.empty() ? w.null() : w.link(c.prev);
    w.key("version"), w.integer(current_version);
    return out;
}

result<repo_commit> sign_commit(repo_commit c, crypto::curve on, const crypto::secret& key32) {
    if (auto fits = fit(c); !fits) return fits.error();
    c.sig.clear();
    auto sig = crypto::sign(on, key32, encode_commit(c));
    if (!sig) return sig.error();
    c.sig = std::move(*sig);
    return c;
}

result<repo_commit> decode_commit(std::string_view bytes) {
    const auto v = decode_dag_cbor(bytes, {.bytes = largest_commit, .depth = 2, .items = 16});
    if (!v) return refusal{"bad_commit", v.error().code + ": " + v.error().text};
    const auto* version = field<std::int64_t>(*v, "version");
    if (version && *version != current_version) return refusal{"commit_version", "a commit of version " + std::to_string(*version) + ", not 3"};
    const auto *did = field<std::string>(*v, "did"), *rev = field<std::string>(*v, "rev");
    const auto* sig = field<octets>(*v, "sig");
    const auto* data = field<cid>(*v, "data");
    const auto* prev = v->find("prev");
    if (!version || !did || !rev || !sig || !data || !prev || v->as<value::map>()->size() != 6 || !(prev->is_null() || prev->as<cid>()))
        return refusal{"bad_commit", "not {did, rev, sig, data, prev, version}"};
    if (sig->data.size() != signature_size) return refusal{"bad_commit", "a signature is 64 bytes"};
    repo_commit c{*did, *rev, *data, prev->is_null() ? cid() : *prev->as<cid>(), sig->data};
    if (auto fits = fit(c); !fits) return fits.error();
    return c;
}

result<void> verify_commit(const repo_commit& c, std::string_view did, std::span<const crypto::verifier> keys) {
    if (c.did != did) return refusal{"wrong_did", "a commit of " + c.did + ", not of " + std::string(did)};
    auto without = c;
    without.sig.clear();
    const auto message = encode_commit(without);
    refusal why{"no_keys", "the account has no signing key"};
    for (const auto& key : keys) {
        const auto checked = key.check(message, c.sig);
        if (checked) return {};
        why = {"bad_signature", "no key of " + c.did + " made this commit's signature: " + checked.error().text};
    }
    return why;
}

// -- a whole repository ---------------------------------------------------------------------------------------------

bool is_record_path(std::string_view path) {
    const auto slash = path.find('/');
    return slash != std::string_view::npos && is_nsid(path.substr(0, slash)) && is_record_key(path.substr(slash + 1));
}

result<value> decode_record(const cid& id, std::string_view bytes) {
    if (!dag_cbor(id)) return refusal{"bad_record", "a record that is not DAG-CBOR: " + id.text()};
    auto v = decode_dag_cbor(bytes);
    if (!v) return refusal{"bad_record", v.error().code + ": " + v.error().text};
    if (!v->as<value::map>()) return refusal{"bad_record", "a record that is no map: " + id.text()};
    return v;
}

namespace {

result<repo_commit> verified_commit(const cid& id, const block_source& blocks, std::string_view did, std::span<const crypto::verifier> keys) {
    const auto bytes = id.empty() ? std::nullopt : blocks.get(id);
    if (!bytes) return refusal{"bad_root", "the first root, the commit, is not among the blocks"};
    auto commit = decode_commit(*bytes);
    if (!commit) return commit.error();
    if (auto signed_by = verify_commit(*commit, did, keys); !signed_by) return signed_by.error();
    return commit;
}
cid first_of(const std::vector<cid>& roots) { return roots.empty() ? cid() : roots.front(); }

} // namespace

result<verified_repo> verify_repo(const cid& id, const block_source& blocks, std::string_view did, std::span<const crypto::verifier> keys, const record_visitor& visit,
                                  const mst_limits& limits) {
    auto commit = verified_commit(id, blocks, did, keys);
    if (!commit) return commit.error();
    verified_repo out{id, std::move(*commit), 0};
    refusal why;
    const auto record = [&](std::string_view path, const cid& at) -> result<void> {
        if (!is_record_path(path)) return refusal{"bad_path", "no name of a record: " + std::string(path)};
        const auto block = blocks.get(at);
        if (!block) return refusal{"missing_record", "the block of " + std::string(path) + " is not there"};
        auto v = decode_record(at, *block);
        if (!v) return refusal{v.error().code, std::string(path) + ": " + v.error().text};
        ++out.records;
        return visit ? visit(path, at, *block, *v) : result<void>();
    };
    const auto walked = mst(out.commit.data, blocks, limits).walk([&](std::string_view path, const cid& at) {
        const auto taken = record(path, at);
        if (!taken) why = taken.error();
        return taken.has_value();
    });
    if (!walked) return walked.error();
    if (!why.code.empty()) return why;
    return out;
}

result<verified_repo> verify_repo(std::string_view bytes, std::string_view did, std::span<const crypto::verifier> keys, const record_visitor& visit,
                                  const car_limits& limits, const mst_limits& tree_limits) {
    const auto blocks = car_view::read(bytes, limits);
    if (!blocks) return blocks.error();
    return verify_repo(first_of(blocks->roots()), *blocks, did, keys, visit, tree_limits);
}

// -- one record -----------------------------------------------------------------------------------------------------

result<proven_record> verify_record(std::string_view bytes, std::string_view did, std::span<const crypto::verifier> keys, std::string_view path) {
    if (!is_record_path(path)) return refusal{"bad_path", "no name of a record: " + std::string(path)};
    const auto blocks = car_view::read(bytes);
    if (!blocks) return blocks.error();
    auto commit = verified_commit(first_of(blocks->roots()), *blocks, did, keys);
    if (!commit) return commit.error();
    const auto there = mst(commit->data, *blocks).get(path);
    if (!there) return there.error();
    if (!*there) return proven_record{std::move(*commit), {}, {}};
    auto record = blocks->get(**there);
    if (!record) return refusal{"missing_record", "the block of " + std::string(path) + " is not there"};
    if (auto v = decode_record(**there, *record); !v) return refusal{v.error().code, std::string(path) + ": " + v.error().text};
    return proven_record{std::move(*commit), **there, std::move(*record)};
}

} // namespace souk
