// Arguments and answers of contracts, as bytes. https://docs.soliditylang.org/en/latest/abi-spec.html
#pragma once
#include <souk/messages/evm/word.hpp>

#include <vector>

namespace souk::evm::abi {

// One argument, encoded: a static one is its words, a dynamic one stands behind an offset.
struct item {
    std::string bytes;
    bool dynamic = false;
};
inline item fixed(word w) { return {std::move(w), false}; }
item fixed(const std::vector<word>&);     // a struct whose members all fill one word
item bytes(std::string_view);             // bytes, string
inline constexpr std::size_t largest_signature = 8 * 1024; // a contract wallet's may be long
result<item> signature(std::string_view hex); // bytes, up to that; code "bad_hex"
item tuple(const std::vector<item>&);     // dynamic where one of its members is
item list(const std::vector<item>&);      // T[]
std::string encode(const std::vector<item>&); // arguments without a selector: abi.encode
std::string call(std::string_view signature, const std::vector<item>&); // "balanceOf(address)": selector and arguments

std::string selector(std::string_view signature); // 4 bytes
std::string topic(std::string_view signature);    // 32 bytes, of an event

// Answers. `at` counts words. Codes "bad_answer".
result<word> word_at(std::string_view answer, std::size_t at);
result<std::string> bytes_at(std::string_view answer, std::size_t at, std::size_t longest = 4096); // follows the offset in this word

// Why a call was reverted, for people: the text of Error(string), the number of Panic(uint256), or the first bytes. Control characters are taken out.
std::string revert_reason(std::string_view data);

} // namespace souk::evm::abi
