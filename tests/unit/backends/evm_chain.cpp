// A chain as one node tells it by JSON-RPC, and as several do that lag, fork, lie, answer garbage or drop what they were told.
#include <doctest/doctest.h>

#include <deque>

#include <souk/backends/evm/json_rpc.hpp>
#include <souk/backends/evm/quorum.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace souk::evm;
using namespace std::chrono_literals;

namespace {

const std::string h1 = "0x" + std::string(64, '1'), h2 = "0x" + std::string(64, '2');
const std::string token = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";

// Answers as it is told to: a body for each method, "" for silence.
struct script {
    std::map<std::string, std::string> results{{"eth_chainId", "\"0x14a34\""}};
    std::optional<std::string> whole; // instead of all that
    unsigned status = 200;
    refusal trouble;
    std::vector<std::string> asked;

    http::fetcher fetch() {
        return [this](http::call c, std::function<void(result<http::response>)> tell) {
            const auto q = from_json(c.body).value();
            const auto method = std::string(q.text("method"));
            asked.push_back(method);
            if (!trouble.code.empty()) return tell(trouble);
            http::response r;
            r.status = status;
            const auto id = std::to_string(*q.find("id")->as<std::int64_t>());
            const auto found = results.find(method);
            const auto said = found == results.end() ? "\"error\":{\"code\":-32601,\"message\":\"no such method\"}" : found->second.starts_with("\"error\"") ? found->second : "\"result\":" + found->second;
            r.body = whole ? *whole : "{\"jsonrpc\":\"2.0\",\"id\":" + id + "," + said + "}";
            tell(std::move(r));
        };
    }
};
template <class T, class Ask>
result<T> asked(Ask ask) { // everything here answers at once
    std::optional<result<T>> got;
    ask([&got](result<T> r) { got.emplace(std::move(r)); });
    REQUIRE(got.has_value());
    return *got;
}
template <class T>
std::string code(const result<T>& r) {
    return r ? "good" : r.error().code;
}
std::string block_json(int number, const std::string& hash) {
    return "{\"number\":\"" + quantity(static_cast<std::uint64_t>(number)) + "\",\"timestamp\":\"0x6553f100\",\"baseFeePerGas\":\"0x7\",\"hash\":\"" + hash + "\"}";
}

struct one_node {
    script s;
    std::shared_ptr<chain> at = make_json_rpc(s.fetch(), {"http://node", 84532, {}, 1s});
    result<block> head() { return asked<block>([&](auto t) { at->head(t); }); }
    result<called> call() { return asked<called>([&](auto t) { at->call("", token, "x", std::nullopt, t); }); }
    result<void> send() { return asked<void>([&](auto t) { at->send("raw", t); }); }
    result<std::optional<receipt>> receipt_of(const std::string& h) { return asked<std::optional<receipt>>([&](auto t) { at->receipt_of(h, t); }); }
};

} // namespace

TEST_CASE("a node is asked which chain it is before it is believed, and once") {
    one_node n;
    n.s.results["eth_getBlockByNumber"] = block_json(7, h1);
    CHECK(n.head().value() == block{7, 0x6553f100, 7, h1});
    CHECK(n.head().has_value());
    CHECK(n.s.asked == std::vector<std::string>{"eth_chainId", "eth_getBlockByNumber", "eth_getBlockByNumber"});
    one_node other;
    other.s.results["eth_chainId"] = "\"0x1\"";
    CHECK(code(other.head()) == "rpc_wrong_chain");
    CHECK(other.s.asked == std::vector<std::string>{"eth_chainId"});
}

TEST_CASE("what a node says is read whole, or is no answer") {
    one_node n;
    n.s.results["eth_getBlockByNumber"] = "null";
    CHECK(code(n.head()) == "rpc_unknown");
    n.s.results["eth_getBlockByNumber"] = "{\"number\":\"7\"}";
    CHECK(code(n.head()) == "rpc_unknown");
    for (const char* garbage : {"", "<html>", "[]", "{\"id\":1}", "{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":\"0x1\"}", "{\"id\":\"1\",\"result\":\"0x1\"}"}) {
        n.s.whole = garbage;
        CHECK(code(n.head()) == "rpc_unknown");
    }
    n.s.whole.reset();
    n.s.status = 429;
    CHECK(code(n.head()) == "rpc_busy");
    n.s.status = 200, n.s.trouble = {"http_unreachable", "nobody"};
    CHECK(code(n.send()) == "rpc_unreachable");
    n.s.trouble = {"http_timeout", "late"};
    CHECK(code(n.send()) == "rpc_unknown"); // it may have been taken
}

TEST_CASE("a revert is an answer, with its reason; other errors are the node's") {
    one_node n;
    n.s.results["eth_call"] = "\"0x" + std::string(63, '0') + "1\"";
    CHECK(n.call().value() == called{false, number(1)});
    const auto why = abi::call("Error(string)", {abi::bytes("no money")});
    n.s.results["eth_call"] = "\"error\":{\"code\":3,\"message\":\"execution reverted: no money\",\"data\":\"" + to_hex_text(why) + "\"}";
    CHECK(n.call().value() == called{true, why});
    n.s.results["eth_call"] = "\"error\":{\"code\":-32000,\"message\":\"VM Exception: revert\"}"; // without data, as some have it
    CHECK(n.call().value() == called{true, ""});
    n.s.results["eth_call"] = "\"error\":{\"code\":-32000,\"message\":\"missing trie node\"}";
    CHECK(code(n.call()) == "rpc_refused");
    n.s.results["eth_estimateGas"] = "\"error\":{\"code\":3,\"message\":\"execution reverted\",\"data\":\"" + to_hex_text(why) + "\"}";
    const auto gas = asked<std::uint64_t>([&](auto t) { n.at->estimate(token, token, "x", t); });
    CHECK(code(gas) == "reverted");
    CHECK(gas.error().text == "no money");
}

TEST_CASE("what nodes say of a transaction in words has our codes") {
    one_node n;
    const auto said = [&](const std::string& words) {
        n.s.results["eth_sendRawTransaction"] = "\"error\":{\"code\":-32000,\"message\":\"" + words + "\"}";
        return code(n.send());
    };
    CHECK(said("already known") == "good");
    CHECK(said("transaction already imported") == "good");
    CHECK(said("nonce too low: next nonce 5, tx nonce 3") == "nonce_too_low");
    CHECK(said("replacement transaction underpriced") == "underpriced");
    CHECK(said("insufficient funds for gas * price + value") == "no_gas_money");
    CHECK(said("daily request limit exceeded") == "rpc_busy");
    CHECK(said("the moon is full") == "rpc_refused");
    n.s.results["eth_sendRawTransaction"] = "\"" + h1 + "\"";
    CHECK(n.send().has_value());
}

TEST_CASE("a receipt is of the transaction that was asked for, or none") {
    one_node n;
    const auto text = [](const std::string& hash, const std::string& status) {
        return "{\"transactionHash\":\"" + hash + "\",\"blockHash\":\"" + h2 + "\",\"blockNumber\":\"0x7\",\"gasUsed\":\"0x5208\",\"status\":\"" + status +
               "\",\"logs\":[{\"address\":\"" + token + "\",\"topics\":[\"" + h2 + "\"],\"data\":\"0x01\",\"transactionHash\":\"" + hash + "\",\"blockNumber\":\"0x7\"}]}";
    };
    n.s.results["eth_getTransactionReceipt"] = "null";
    CHECK(!n.receipt_of(h1).value());
    n.s.results["eth_getTransactionReceipt"] = text(h1, "0x1");
    const auto r = n.receipt_of(h1).value().value();
    CHECK((r.succeeded && r.block == 7 && r.block_hash == h2 && r.logs.size() == 1 && r.logs[0].data == "\x01"));
    CHECK(code(n.receipt_of(h2)) == "rpc_unknown");
    n.s.results["eth_getTransactionReceipt"] = text(h1, "0x2");
    CHECK(code(n.receipt_of(h1)) == "rpc_unknown");
}

TEST_CASE("a transaction is the one that was asked for, as it was brought, or none") {
    one_node n;
    const auto ask = [&](const std::string& h) { return asked<std::optional<sent>>([&](auto t) { n.at->transaction_of(h, t); }); };
    const auto text = [](const std::string& hash, const std::string& to, const std::string& input = "\"0x0102\"") {
        return "{\"hash\":\"" + hash + "\",\"from\":\"0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266\",\"to\":" + to + ",\"input\":" + input + "}";
    };
    n.s.results["eth_getTransactionByHash"] = "null";
    CHECK(!ask(h1).value());
    n.s.results["eth_getTransactionByHash"] = text(h1, '"' + token + '"');
    CHECK(ask(h1).value() == sent{h1, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", token, "\x01\x02"});
    CHECK(code(ask(h2)) == "rpc_unknown");
    n.s.results["eth_getTransactionByHash"] = text(h1, "null"); // it made a contract
    CHECK(ask(h1).value()->to.empty());
    for (const auto& bad : {text(h1, "\"0x12\""), text(h1, '"' + token + '"', "\"0x1\""), text(h1, '"' + token + '"', "7"), std::string("{}"), std::string("[]"), std::string("7")}) {
        n.s.results["eth_getTransactionByHash"] = bad;
        CHECK(code(ask(h1)) == "rpc_unknown");
    }
}

// -- several ------------------------------------------------------------------------------------------------------------------

namespace {

struct several {
    instant now{1'700'000'000s};
    std::vector<std::unique_ptr<script>> scripts;
    std::vector<std::size_t> troubled;
    std::shared_ptr<chain> at;
    several(std::size_t nodes, std::size_t agree) {
        std::vector<std::shared_ptr<chain>> all;
        for (std::size_t i = 0; i < nodes; ++i) {
            scripts.push_back(std::make_unique<script>());
            all.push_back(make_json_rpc(scripts.back()->fetch(), {"http://node", 84532, {}, 1s}));
        }
        quorum_options o;
        o.agree = agree, o.now = [this] { return now; };
        o.trouble = [this](std::size_t i, const refusal&) { troubled.push_back(i); };
        at = make_quorum(std::move(all), std::move(o));
    }
    void say(std::size_t node, const std::string& method, const std::string& result) { scripts[node]->results[method] = result; }
    result<block> head() { return asked<block>([&](auto t) { at->head(t); }); }
    result<called> call() { return asked<called>([&](auto t) { at->call("", token, "x", std::nullopt, t); }); }
};
std::string yes() { return "\"" + to_hex_text(number(1)) + "\""; }
std::string no() { return "\"" + to_hex_text(number(0)) + "\""; }

} // namespace

TEST_CASE("what money hangs on is believed of as many as must agree, against fewer") {
    several n(3, 2);
    for (std::size_t i = 0; i < 3; ++i) n.say(i, "eth_call", yes());
    CHECK(n.call().value().data == number(1));
    n.say(2, "eth_call", no()); // one lies
    CHECK(n.call().value().data == number(1));
    n.say(1, "eth_call", no()); // two do
    CHECK(n.call().value().data == number(0));
    n.say(0, "eth_call", "\"error\":{\"code\":3,\"message\":\"reverted\"}"), n.say(1, "eth_call", yes());
    CHECK(code(n.call()) == "rpc_disagreement");
    several two(2, 1); // one would do, and they contradict each other
    two.say(0, "eth_call", yes()), two.say(1, "eth_call", no());
    CHECK(code(two.call()) == "rpc_disagreement");
}

TEST_CASE("the chain is as far as so many nodes are, and at that height they must have the same block") {
    several n(3, 2);
    n.say(0, "eth_getBlockByNumber", block_json(9, h1)), n.say(1, "eth_getBlockByNumber", block_json(7, h1)), n.say(2, "eth_getBlockByNumber", block_json(5, h1));
    CHECK(code(n.head()) == "rpc_disagreement"); // scripted nodes answer every height alike: no two have the same block
    n.say(0, "eth_getBlockByNumber", block_json(7, h1));
    CHECK(n.head().value().number == 7);
    n.say(1, "eth_getBlockByNumber", block_json(7, h2)); // a fork
    CHECK(code(n.head()) == "rpc_disagreement");
}

TEST_CASE("one node that takes a transaction is enough; what is unknown is not covered by what was refused") {
    several n(2, 2);
    const auto send = [&] { return asked<void>([&](auto t) { n.at->send("raw", t); }); };
    n.say(0, "eth_sendRawTransaction", "\"error\":{\"code\":1,\"message\":\"no thanks\"}"), n.say(1, "eth_sendRawTransaction", "\"" + h1 + "\"");
    CHECK(send().has_value());
    n.scripts[1]->trouble = {"http_timeout", "late"};
    CHECK(code(send()) == "rpc_unknown");
}

TEST_CASE("a node that fails is left alone, longer each time; when too few are awake all are asked") {
    several n(2, 1);
    for (std::size_t i = 0; i < 2; ++i) n.say(i, "eth_call", yes());
    n.scripts[0]->trouble = {"http_unreachable", "away"};
    CHECK(n.call().has_value());
    const auto asked_before = n.scripts[0]->asked.size();
    CHECK(n.call().has_value());
    CHECK(n.scripts[0]->asked.size() == asked_before);
    n.now += 1s;
    CHECK(n.call().has_value());
    CHECK(n.scripts[0]->asked.size() == asked_before + 1);
    n.now += 1s; // twice as long by now
    CHECK(n.call().has_value());
    CHECK(n.scripts[0]->asked.size() == asked_before + 1);
    n.scripts[1]->trouble = {"http_unreachable", "away too"};
    CHECK(code(n.call()) == "rpc_unreachable");
    n.scripts[0]->trouble = {};
    CHECK(n.call().has_value()); // both rest: both are asked
    CHECK(n.troubled.size() >= 3);
}

TEST_CASE("nodes of several chains, or more to agree than there are, are no chain") {
    script s;
    const auto base = make_json_rpc(s.fetch(), {"http://a", 84532, {}, 1s}), main = make_json_rpc(s.fetch(), {"http://b", 1, {}, 1s});
    quorum_options o;
    o.now = [] { return instant{}; };
    CHECK_THROWS_AS(make_quorum({base, main}, o), std::invalid_argument);
    CHECK_THROWS_AS(make_quorum({}, o), std::invalid_argument);
    o.agree = 2;
    CHECK_THROWS_AS(make_quorum({base}, o), std::invalid_argument);
}
