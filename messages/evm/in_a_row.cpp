#include <souk/messages/evm/in_a_row.hpp>

namespace souk::evm {

namespace {

constexpr std::size_t most_initcode = 48 * 1024; // EIP-3860

// Instructions (https://ethereum.github.io/execution-specs/). None is younger than the contracts that it calls: it runs where the chain has not been upgraded.
enum op : unsigned char { codecopy = 0x39, returndatasize = 0x3d, returndatacopy = 0x3e, jumpi = 0x57, gas = 0x5a, jumpdest = 0x5b, push1 = 0x60, push2 = 0x61, push20 = 0x73, call_ = 0xf1, return_ = 0xf3, revert_ = 0xfd };

struct assembler {
    std::string code;
    void put(op o) { code += static_cast<char>(o); }
    void zero() { put(push1), code += '\0'; }
    void number(std::size_t n) { put(push2), code += static_cast<char>(n >> 8), code += static_cast<char>(n); }
    // All that the last call returned, at the start of memory; its size, and 0, on the stack.
    void fetch_returned() {
        put(returndatasize), zero(), zero(), put(returndatacopy);
        put(returndatasize), zero();
    }
};
constexpr std::size_t size_of_call = 58, size_of_end = 10;

} // namespace

result<std::string> calls_in_a_row(const std::vector<one_call>& calls) {
    std::size_t data_at = calls.size() * size_of_call + size_of_end;
    std::string data;
    assembler a;
    for (const auto& c : calls) {
        const auto to = address_word(c.to);
        if (!to) return to.error();
        const auto size = c.data.size(), at = data_at + data.size();
        if (at + size > most_initcode) return refusal{"too_large", "the calls are larger than the code that a node runs"};
        a.number(size), a.number(at), a.zero(), a.put(codecopy);          // its data, to the start of memory
        a.zero(), a.zero(), a.number(size), a.zero(), a.zero();           // returns nowhere yet; from there; no money
        a.put(push20), a.code += to->substr(12), a.put(gas), a.put(call_);
        a.number(a.code.size() + 14), a.put(jumpi);                       // over what follows, if it went well
        a.fetch_returned(), a.put(revert_);
        a.put(jumpdest);
        data += c.data;
    }
    a.fetch_returned(), a.put(return_);
    return a.code + data;
}

} // namespace souk::evm
