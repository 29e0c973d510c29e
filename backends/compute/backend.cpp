#include <souk/backends/compute/backend.hpp>

#include <charconv>
#include <limits>

namespace souk::compute {

result<std::int64_t> to_mib(std::string_view text) {
    const auto bad = [&](std::string_view why) {
        return refusal{"bad_size", "'" + std::string(text.substr(0, 32)) + "' is no size: " + std::string(why) + "; write it as 512M, 10G or 1T"};
    };
    if (text.empty() || text.size() > 20) return bad("one number and one letter are wanted");
    std::int64_t n = 0;
    const auto* end = text.data() + text.size();
    const auto [at, wrong] = std::from_chars(text.data(), end, n);
    if (wrong != std::errc() || at + 1 != end || text.front() == '-' || text.front() == '+') return bad("one number and one letter are wanted");
    if (n == 0) return bad("it is nothing");
    std::int64_t factor = 1;
    switch (*at) {
        case 'K':
            if (n % 1024 != 0) return bad("a size is a whole number of MiB");
            return n / 1024;
        case 'M': break;
        case 'G': factor = 1024; break;
        case 'T': factor = 1024 * 1024; break;
        default: return bad("the letter must be K, M, G or T");
    }
    if (n > std::numeric_limits<std::int64_t>::max() / (factor * 1024 * 1024)) return bad("it is too large");
    return n * factor;
}

result<void> check_tag(std::string_view tag) {
    if (!tag.empty() && tag.size() <= 63 && tag.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == tag.npos) return {};
    return refusal{"bad_tag", "a machine's tag is 1 to 63 of a-z, 0-9 and -"};
}

} // namespace souk::compute
