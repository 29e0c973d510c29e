// Several calls in one question, each made after the ones before it: what a wallet would say that has still to be deployed. They go as the code of a contract
// that is never made (eth_call without `to`), which any node runs; nothing has to be deployed for it, and nothing stays.
#pragma once
#include <vector>

#include <souk/messages/evm/word.hpp>

namespace souk::evm {

struct one_call {
    std::string to;   // address
    std::string data; // bytes
};
// Code that makes them in turn. It ends with what the last one returns; the first that is reverted reverts all, with its own reason.
// Codes "bad_address", "too_large" (nodes take 48 KiB).
result<std::string> calls_in_a_row(const std::vector<one_call>&);

} // namespace souk::evm
