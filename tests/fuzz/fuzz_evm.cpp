// What a chain's node answers, and what contracts return: neither is believed further than it can be read.
#include <souk/backends/evm/json_rpc.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/token.hpp>
#include <souk/messages/json.hpp>

#include "fuzz.hpp"

using namespace souk;
using namespace souk::evm;

namespace {

const std::string hash = "0x" + std::string(64, '1'), address = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";

// The node is on the right chain; what it says next is the input, whole, or as the result of the question.
http::fetcher saying(std::string_view bytes, bool whole) {
    return [bytes = std::string(bytes), whole](http::call c, std::function<void(result<http::response>)> tell) {
        const auto q = from_json(c.body).value();
        const auto id = std::to_string(*q.find("id")->as<std::int64_t>());
        http::response r;
        if (q.text("method") == "eth_chainId") r.body = "{\"id\":" + id + ",\"result\":\"0x1\"}";
        else r.body = whole ? bytes : "{\"id\":" + id + ",\"result\":" + bytes + "}";
        tell(std::move(r));
    };
}
template <class T>
tell<T> coded() {
    return [](result<T> r) { must(r || !r.error().code.empty(), "a refusal has a code"); };
}

} // namespace

FUZZ {
    for (const bool whole : {true, false}) {
        const auto node = make_json_rpc(saying(bytes, whole), {"http://node", 1, {}, std::chrono::seconds{1}});
        node->head(coded<block>());
        node->code(address, coded<std::string>());
        node->call("", address, "x", 7, coded<called>());
        node->balance(address, coded<word>());
        node->estimate(address, address, "x", coded<std::uint64_t>());
        node->send("x", coded<void>());
        node->receipt_of(hash, [](result<std::optional<receipt>> r) { must(!r || !*r || (*r)->transaction == hash, "a receipt is of what was asked for"); });
        node->logs({address, {std::nullopt, hash}, 1, 2}, coded<std::vector<log>>());
    }
    for (std::size_t at = 0; at < 3; ++at) {
        (void)abi::word_at(bytes, at);
        if (const auto text = abi::bytes_at(bytes, at, 64)) must(text->size() <= 64, "what is read is bounded");
    }
    for (const char c : abi::revert_reason(bytes)) must(static_cast<unsigned char>(c) >= 0x20, "a reason can be shown");
    if (const auto w = token::unwrap(bytes)) must(token::is_wrapped(bytes) && w->inner.size() < bytes.size(), "what is wrapped is within");
    if (const auto n = uint256(bytes)) must(to_decimal(*n) == bytes, "one text a number");
}
