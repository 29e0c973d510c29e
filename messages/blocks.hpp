// Blocks by their CID: what trees and commits are read from, and the simplest place to keep them.
#pragma once
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <souk/messages/cid.hpp>

namespace souk {

struct block_source {
    virtual ~block_source() = default;
    // Nothing when there is no such block. Whoever fills a source has checked that its bytes have their CID; a store that
    // cannot be read throws, since "not there" would be a statement about the tree.
    virtual std::optional<std::string> get(const cid&) const = 0;
};

// Part of a digest is as good a hash as any; the 36 bytes alone, so that views of them need no copy.
struct cid_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const {
        std::size_t h = bytes.size();
        if (bytes.size() == cid::size) std::memcpy(&h, bytes.data() + cid::size - sizeof h, sizeof h);
        return h;
    }
    std::size_t operator()(const cid& c) const { return (*this)(std::string_view(c.bytes())); }
};

class block_map : public block_source {
public:
    std::optional<std::string> get(const cid& c) const override {
        const auto at = blocks_.find(c);
        return at == blocks_.end() ? std::nullopt : std::optional(at->second);
    }
    bool has(const cid& c) const { return blocks_.contains(c); }
    void put(const cid& c, std::string bytes) { blocks_.insert_or_assign(c, std::move(bytes)); }
    void drop(const cid& c) { blocks_.erase(c); }
    std::size_t size() const { return blocks_.size(); }
    auto begin() const { return blocks_.begin(); }
    auto end() const { return blocks_.end(); }

private:
    std::unordered_map<cid, std::string, cid_hash> blocks_;
};

} // namespace souk
