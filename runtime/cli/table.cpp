#include <souk/runtime/cli/table.hpp>

#include <algorithm>

namespace souk::cli {

std::string table::text() const {
    std::vector<std::size_t> wide;
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (wide.size() <= i) wide.push_back(0);
            wide[i] = std::max(wide[i], row[i].size());
        }
    std::string all;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(wide[i] - row[i].size() + 2, ' ');
        }
        while (!line.empty() && line.back() == ' ') line.pop_back();
        all += line + '\n';
    }
    return all;
}

std::string shortened(const std::string& text, std::size_t most) {
    if (text.size() <= most || most < 8) return text;
    const auto tail = (most - 3) / 3;
    return text.substr(0, most - 3 - tail) + "..." + text.substr(text.size() - tail);
}

} // namespace souk::cli
