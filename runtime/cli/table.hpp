// Tables for people: columns as wide as they need to be, 80 in all where that can be had, nothing wrapped.
#pragma once
#include <cstdio>
#include <string>
#include <vector>

namespace souk::cli {

class table {
public:
    explicit table(std::vector<std::string> heads) { rows_.push_back(std::move(heads)); }
    void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.size() == 1; }
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

// Text broken at blanks, or names too long for a line after a slash, each line after the first that far in; without a line's end at the last.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t wide = 80);

// The middle of a long name taken out: "did:plc:5svq...utzik".
std::string shortened(const std::string& text, std::size_t most);

} // namespace souk::cli
