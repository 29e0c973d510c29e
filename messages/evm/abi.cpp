#include <souk/messages/evm/abi.hpp>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>

namespace souk::evm::abi {

namespace {

std::string padded(std::string_view b) {
    std::string out(b);
    out.resize((b.size() + 31) / 32 * 32, '\0');
    return out;
}

} // namespace

std::string encode(const std::vector<item>& all) {
    std::size_t heads = 0;
    for (const auto& x : all) heads += x.dynamic ? 32 : x.bytes.size();
    std::string head, tail;
    for (const auto& x : all) {
        if (x.dynamic) head += number(heads + tail.size()), tail += x.bytes;
        else head += x.bytes;
    }
    return head + tail;
}

item fixed(const std::vector<word>& words) {
    std::string all;
    for (const auto& w : words) all += w;
    return fixed(word(std::move(all)));
}

item bytes(std::string_view b) { return {number(b.size()) + padded(b), true}; }

result<item> signature(std::string_view hex) {
    const auto b = bytes_of(hex, any_size);
    if (!b) return b.error();
    if (b->size() > largest_signature) return refusal{"bad_hex", "a signature of " + std::to_string(b->size()) + " bytes"};
    return bytes(*b);
}

item tuple(const std::vector<item>& members) {
    item t{encode(members), false};
    for (const auto& m : members) t.dynamic = t.dynamic || m.dynamic;
    return t;
}

item list(const std::vector<item>& members) { return {number(members.size()) + encode(members), true}; }

std::string topic(std::string_view signature) { return crypto::keccak256(signature); }
std::string selector(std::string_view signature) { return topic(signature).substr(0, 4); }
std::string call(std::string_view signature, const std::vector<item>& arguments) { return selector(signature) + encode(arguments); }

result<word> word_at(std::string_view answer, std::size_t at) {
    if (answer.size() / 32 <= at) return refusal{"bad_answer", "the contract answered " + std::to_string(answer.size()) + " bytes, too few"};
    return word(answer.substr(32 * at, 32));
}

result<std::string> bytes_at(std::string_view answer, std::size_t at, std::size_t longest) {
    const refusal bad{"bad_answer", "the contract's answer is not what its interface says"};
    const auto offset = word_at(answer, at);
    if (!offset) return offset.error();
    const auto from = small(*offset);
    if (!from || *from > answer.size() || answer.size() - *from < 32) return bad;
    const auto size = small(word(answer.substr(*from, 32)));
    if (!size || *size > longest || answer.size() - *from - 32 < *size) return bad;
    return std::string(answer.substr(*from + 32, *size));
}

std::string revert_reason(std::string_view data) {
    static const auto error = selector("Error(string)"), panic = selector("Panic(uint256)");
    if (data.empty()) return "reverted without a reason";
    if (data.starts_with(error))
        if (const auto text = bytes_at(data.substr(4), 0, 256)) {
            auto clean = to_utf8(*text);
            for (auto& c : clean)
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
            return clean;
        }
    if (data.starts_with(panic))
        if (const auto n = word_at(data.substr(4), 0)) return "panic " + evm::to_decimal(*n);
    return "reverted with " + to_hex_text(data.substr(0, 36));
}

} // namespace souk::evm::abi
