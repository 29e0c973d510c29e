// CAR version 1: blocks in a row, each after its length and its CID. Format: https://ipld.io/specs/transport/car/carv1/
// Read strictly: lengths in their shortest form, CIDs as AT Protocol has them, and each is recomputed from its bytes.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <souk/messages/blocks.hpp>

namespace souk {

// -- writing --------------------------------------------------------------------------------------------------------

// The header first, then blocks in any order, each appended to what is sent or kept next. That the bytes have the CID is the
// caller's to know.
std::string car_header(const std::vector<cid>& roots);
void append_car_block(std::string& out, const cid&, std::string_view bytes);
std::size_t car_block_size(std::string_view bytes); // what `append_car_block` adds

// -- reading --------------------------------------------------------------------------------------------------------

struct car_limits {
    std::size_t header = 4 * 1024;
    std::size_t block = 2 << 20;              // bytes of one block; a record is at most 1 MiB
    std::size_t blocks = 4'000'000;           // a repository of a million records has about 1.3 million
    std::size_t bytes = std::size_t(1) << 30; // of the whole
};

// Takes bytes as they come. Codes: "car_bad_header", "car_header_too_large", "car_bad_varint", "car_bad_cid", "car_block_too_large",
// "car_too_many_blocks", "car_too_large", "cid_mismatch", "car_truncated" (by `finish`), and what the sink refuses with.
// After a refusal it says the same for ever.
class car_reader {
public:
    // The bytes are good until the sink returns; of a section that lies whole in one piece they are the piece's own.
    using sink = std::function<result<void>(const cid&, std::string_view)>;

    explicit car_reader(sink to, const car_limits& limits = {}) : to_(std::move(to)), limits_(limits) {}
    result<void> feed(std::string_view piece);
    result<void> finish();

    bool has_header() const { return has_header_; }
    const std::vector<cid>& roots() const { return roots_; }
    std::size_t blocks() const { return blocks_; }

private:
    result<void> refuse(const char* code, const char* text);
    result<void> section(std::string_view body);
    result<void> header(std::string_view body);
    result<void> block(std::string_view body);
    // Bytes of a length at the start: 0 when there are too few to tell.
    result<std::size_t> length(std::string_view bytes, std::size_t& body);

    sink to_;
    car_limits limits_;
    std::string held_; // of a section that is not whole yet
    std::vector<cid> roots_;
    std::size_t blocks_ = 0, total_ = 0;
    bool has_header_ = false;
    refusal why_;
};

// A whole CAR, indexed and checked. It views the bytes, which must outlive it.
class car_view : public block_source {
public:
    static result<car_view> read(std::string_view bytes, const car_limits& = {});

    std::optional<std::string> get(const cid& c) const override {
        const auto found = view(c);
        return found ? std::optional<std::string>(*found) : std::nullopt;
    }
    std::optional<std::string_view> view(const cid& c) const {
        const auto at = blocks_.find(std::string_view(c.bytes()));
        return at == blocks_.end() ? std::nullopt : std::optional(at->second);
    }
    const std::vector<cid>& roots() const { return roots_; }
    std::size_t size() const { return blocks_.size(); }

private:
    std::vector<cid> roots_;
    std::unordered_map<std::string_view, std::string_view, cid_hash> blocks_; // by the bytes of the CID
};

struct car {
    std::vector<cid> roots;
    block_map blocks;
};
result<car> read_car(std::string_view bytes, const car_limits& = {}); // with copies of its own

} // namespace souk
