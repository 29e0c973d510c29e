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

std::string wrapped(const std::string& text, std::size_t indent, std::size_t wide) {
    const auto room = wide > indent + 8 ? wide - indent : 8;
    std::string out;
    auto rest = std::string_view(text);
    while (rest.size() > room) {
        auto cut = rest.rfind(' ', room);
        if (cut == rest.npos || cut == 0) {
            cut = rest.rfind('/', room - 1);
            cut = cut == rest.npos || cut < room / 2 ? room : cut + 1;
        }
        while (cut > 1 && cut < rest.size() && (static_cast<unsigned char>(rest[cut]) & 0xc0) == 0x80) --cut; // not inside a letter
        out += std::string(rest.substr(0, cut)) + '\n' + std::string(indent, ' ');
        rest.remove_prefix(cut);
        while (rest.starts_with(' ')) rest.remove_prefix(1);
    }
    return out + std::string(rest);
}

std::string shortened(const std::string& text, std::size_t most) {
    if (text.size() <= most || most < 8) return text;
    const auto tail = (most - 3) / 3;
    return text.substr(0, most - 3 - tail) + "..." + text.substr(text.size() - tail);
}

} // namespace souk::cli
