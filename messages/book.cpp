#include <souk/messages/book.hpp>

#include <algorithm>
#include <limits>
#include <map>

#include <souk/messages/ascii.hpp>
#include <souk/messages/crypto.hpp>

namespace souk::book {

result<entry> entry::make(details d, std::vector<posting> postings) {
    for (const auto* text : {&d.subject, &d.contract, &d.party, &d.transaction})
        if (text->size() > longest_name) return refusal{"entry_too_long", "a name in an entry has at most " + std::to_string(longest_name) + " bytes"};
    if (d.subject.empty()) return refusal{"entry_empty", "an entry is of something"};
    if (d.why.size() > longest_why) { // between two characters
        auto end = longest_why;
        while (end > 0 && (static_cast<unsigned char>(d.why[end]) & 0xc0) == 0x80) --end;
        d.why.resize(end);
    }
    std::vector<posting> merged;
    std::map<std::string, wide> sums;
    for (auto& p : postings) {
        if (p.value == 0 || p.value == std::numeric_limits<amount>::min()) return refusal{"entry_bad_amount", "a posting moves something, and can be turned round"};
        if (p.asset.empty() || p.asset.size() > longest_name) return refusal{"entry_too_long", "a posting is in an asset of at most " + std::to_string(longest_name) + " bytes"};
        sums[p.asset] += p.value;
        const auto same = std::find_if(merged.begin(), merged.end(), [&p](const posting& x) { return x.in == p.in && x.asset == p.asset; });
        if (same == merged.end()) merged.push_back(std::move(p));
        else if (__builtin_add_overflow(same->value, p.value, &same->value)) return refusal{"entry_overflow", "an entry moves more than there can be"};
    }
    std::erase_if(merged, [](const posting& p) { return p.value == 0; });
    if (merged.empty()) return refusal{"entry_empty", "an entry moves something"};
    if (merged.size() > most_postings) return refusal{"entry_too_long", "an entry has at most " + std::to_string(most_postings) + " postings"};
    for (const auto& [asset, sum] : sums)
        if (sum != 0) return refusal{"entry_unbalanced", "in " + asset + " the postings sum to " + decimal_of(sum, 0) + ", not to zero"};
    for (const auto& p : merged)
        if (p.value == std::numeric_limits<amount>::min()) return refusal{"entry_overflow", "an entry moves more than there can be"};
    return entry(std::move(d), std::move(merged));
}

std::string entry::id() const {
    return crypto::sha256("souk entry " + std::to_string(static_cast<int>(what_.what)) + ' ' + what_.subject).substr(0, 16);
}

std::string decimal_of(wide n, int decimals) {
    const bool negative = n < 0;
    std::string digits;
    do {
        const auto one = static_cast<int>(n % 10);
        digits += static_cast<char>('0' + (one < 0 ? -one : one));
        n /= 10;
    } while (n != 0);
    while (digits.size() <= static_cast<std::size_t>(decimals)) digits += '0';
    if (decimals > 0) digits.insert(static_cast<std::size_t>(decimals), ".");
    if (negative) digits += '-';
    std::reverse(digits.begin(), digits.end());
    return digits;
}

std::string token_of(const std::string& network, const std::string& contract) { return network + "/erc20:" + lower(contract); }
std::string coin_of(const std::string& network) { return network + "/slip44:60"; }

} // namespace souk::book
