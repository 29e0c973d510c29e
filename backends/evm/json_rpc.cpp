#include <souk/backends/evm/json_rpc.hpp>

#include <atomic>

#include <souk/messages/evm/abi.hpp>
#include <souk/messages/json.hpp>

namespace souk::evm {

namespace {

constexpr std::size_t most_logs = 1'000, longest_word_of_node = 200;

refusal unusable(const std::string& what) { return {"rpc_unknown", "the node's answer cannot be used: " + what}; }

result<std::uint64_t> number_in(const value& v, std::string_view key) {
    auto n = from_quantity(v.text(key));
    if (!n) return unusable(std::string(key));
    return n;
}
result<std::string> hash_in(const value& v, std::string_view key) {
    const auto text = v.text(key);
    const auto bytes = bytes_of(text, 32);
    if (!bytes) return unusable(std::string(key));
    return to_hex_text(*bytes);
}

result<block> block_of(const value& v) {
    if (v.is_null()) return refusal{"rpc_unknown", "the node does not have this block"};
    block b;
    for (auto [key, into] : {std::pair{"number", &b.number}, {"timestamp", &b.time_s}}) {
        const auto n = number_in(v, key);
        if (!n) return n.error();
        *into = *n;
    }
    if (const auto fee = from_quantity(v.text("baseFeePerGas"))) b.base_fee = *fee;
    auto hash = hash_in(v, "hash");
    if (!hash) return hash.error();
    b.hash = std::move(*hash);
    return b;
}

result<log> log_of(const value& v) {
    log l;
    const auto address = bytes_of(v.text("address"), 20), data = bytes_of(v.text("data"), any_size);
    const auto* topics = v.find("topics") ? v.find("topics")->as<value::list>() : nullptr;
    if (!address || !data || !topics || topics->size() > 4) return unusable("a log");
    l.address = to_hex_text(*address), l.data = *data;
    for (const auto& t : *topics) {
        const auto* text = t.as<std::string>();
        const auto bytes = text ? bytes_of(*text, 32) : result<std::string>(refusal{});
        if (!bytes) return unusable("a log's topic");
        l.topics.push_back(to_hex_text(*bytes));
    }
    auto hash = hash_in(v, "transactionHash");
    const auto number = number_in(v, "blockNumber");
    if (!hash || !number) return unusable("a log's place");
    l.transaction = std::move(*hash), l.block = *number;
    return l;
}
result<std::vector<log>> logs_of(const value& v) {
    const auto* all = v.as<value::list>();
    if (!all || all->size() > most_logs) return unusable("logs");
    std::vector<log> out;
    for (const auto& one : *all) {
        auto l = log_of(one);
        if (!l) return l.error();
        out.push_back(std::move(*l));
    }
    return out;
}

result<std::optional<receipt>> receipt_in(const value& v) {
    if (v.is_null()) return std::optional<receipt>();
    receipt r;
    auto hash = hash_in(v, "transactionHash"), in = hash_in(v, "blockHash");
    const auto number = number_in(v, "blockNumber"), used = number_in(v, "gasUsed"), status = number_in(v, "status");
    if (!hash || !in || !number || !used || !status || *status > 1) return unusable("a receipt");
    const auto* said = v.find("logs");
    if (!said) return unusable("a receipt without logs");
    auto logs = logs_of(*said);
    if (!logs) return logs.error();
    r.transaction = std::move(*hash), r.block_hash = std::move(*in), r.block = *number, r.gas_used = *used, r.succeeded = *status == 1, r.logs = std::move(*logs);
    return std::optional(std::move(r));
}

result<std::optional<sent>> sent_in(const value& v) {
    if (v.is_null()) return std::optional<sent>();
    sent s;
    auto hash = hash_in(v, "hash");
    const auto from = address_word(v.text("from")), to = address_word(v.text("to"));
    auto data = bytes_of(v.text("input"), any_size);
    const auto* receiver = v.find("to");
    if (!hash || !from || !data || (!to && receiver && !receiver->is_null())) return unusable("a transaction");
    s.hash = std::move(*hash), s.from = address_of(*from), s.data = std::move(*data);
    if (to) s.to = address_of(*to);
    return std::optional(std::move(s));
}

// What nodes say in their own words has no codes that agree: the words do, roughly.
refusal in_our_codes(const value& error) {
    std::string words(error.text("message").substr(0, longest_word_of_node));
    std::string lower;
    for (char c : words) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    const auto says = [&](const char* what) { return lower.find(what) != std::string::npos; };
    if (says("already known") || says("already imported") || says("known transaction")) return {"already_known", words};
    if (says("nonce too low") || says("nonce is too low")) return {"nonce_too_low", words};
    if (says("underpriced") || says("fee too low") || says("less than block base fee") || says("max fee per gas less")) return {"underpriced", words};
    if (says("insufficient funds") || says("out of gas fund")) return {"no_gas_money", words};
    if (says("limit exceeded") || says("too many requests") || says("rate limit")) return {"rpc_busy", words};
    return {"rpc_refused", words};
}
// A revert has code 3 and its data, or only the word.
std::optional<std::string> reverted(const value& error) {
    const auto* code = error.find("code") ? error.find("code")->as<std::int64_t>() : nullptr;
    const bool says = error.text("message").find("revert") != std::string_view::npos;
    if (!(code && *code == 3) && !says) return std::nullopt;
    if (const auto data = bytes_of(error.text("data"), any_size)) return data->substr(0, 4096);
    return std::string();
}

class json_rpc final : public chain, public std::enable_shared_from_this<json_rpc> {
public:
    json_rpc(http::fetcher web, endpoint at) : web_(std::move(web)), at_(std::move(at)) {}

    std::uint64_t id() const override { return at_.chain_id; }
    void head(tell<block> t) override { block_named("latest", std::move(t)); }
    void block_at(std::uint64_t number, tell<block> t) override { block_named(quantity(number), std::move(t)); }
    void code(const std::string& address, tell<std::string> t) override {
        ask("eth_getCode", {address, "latest"}, [t](result<value> v) {
            const auto* text = v ? v->as<std::string>() : nullptr;
            if (!v) return t(v.error());
            auto bytes = text ? bytes_of(*text, any_size) : result<std::string>(unusable("code"));
            t(bytes ? std::move(bytes) : result<std::string>(unusable("code")));
        });
    }
    void call(const std::string& from, const std::string& to, const std::string& data, std::optional<std::uint64_t> at, tell<called> t) override {
        value::map what{{"data", to_hex_text(data)}};
        if (!to.empty()) what.emplace("to", to);
        if (!from.empty()) what.emplace("from", from);
        ask("eth_call", {std::move(what), at ? quantity(*at) : "latest"}, [t](result<value> v) {
            if (!v) return t(v.error());
            const auto* text = v->as<std::string>();
            const auto bytes = text ? bytes_of(*text, any_size) : result<std::string>(refusal{});
            if (!bytes) return t(unusable("what a call returned"));
            t(called{false, *bytes});
        }, [t](const std::string& why) { t(called{true, why}); });
    }
    void nonce(const std::string& address, bool with_waiting, tell<std::uint64_t> t) override {
        ask_number("eth_getTransactionCount", {address, with_waiting ? "pending" : "latest"}, std::move(t));
    }
    void balance(const std::string& address, tell<word> t) override {
        ask("eth_getBalance", {address, "latest"}, [t](result<value> v) {
            if (!v) return t(v.error());
            const auto* text = v->as<std::string>();
            if (!text || !text->starts_with("0x") || text->size() < 3 || text->size() > 66) return t(unusable("a balance"));
            auto bytes = bytes_of("0x" + std::string(66 - text->size(), '0') + text->substr(2), 32);
            t(bytes ? std::move(bytes) : result<word>(unusable("a balance")));
        });
    }
    void tip(tell<std::uint64_t> t) override { ask_number("eth_maxPriorityFeePerGas", {}, std::move(t)); }
    void estimate(const std::string& from, const std::string& to, const std::string& data, tell<std::uint64_t> t) override {
        value::map what{{"from", from}, {"to", to}, {"data", to_hex_text(data)}};
        ask("eth_estimateGas", {std::move(what)}, [t](result<value> v) { t(number_of(std::move(v))); },
            [t](const std::string& why) { t(refusal{"reverted", abi::revert_reason(why)}); });
    }
    void send(const std::string& raw, tell<void> t) override {
        ask("eth_sendRawTransaction", {to_hex_text(raw)}, [t](result<value> v) {
            if (!v && v.error().code != "already_known") return t(v.error());
            t({});
        });
    }
    void receipt_of(const std::string& transaction, tell<std::optional<receipt>> t) override {
        ask("eth_getTransactionReceipt", {transaction}, [t, transaction](result<value> v) {
            if (!v) return t(v.error());
            auto r = receipt_in(*v);
            if (r && *r && (*r)->transaction != transaction) return t(unusable("a receipt of another transaction"));
            t(std::move(r));
        });
    }
    void transaction_of(const std::string& hash, tell<std::optional<sent>> t) override {
        ask("eth_getTransactionByHash", {hash}, [t, hash](result<value> v) {
            if (!v) return t(v.error());
            auto s = sent_in(*v);
            if (s && *s && (*s)->hash != hash) return t(unusable("another transaction"));
            t(std::move(s));
        });
    }
    void logs(const log_filter& f, tell<std::vector<log>> t) override {
        value::list topics;
        for (const auto& x : f.topics) {
            topics.emplace_back();
            if (x) topics.back() = *x;
        }
        ask("eth_getLogs", {value::map{{"address", f.address}, {"topics", std::move(topics)}, {"fromBlock", quantity(f.from)}, {"toBlock", quantity(f.to)}}},
            [t](result<value> v) { v ? t(logs_of(*v)) : t(v.error()); });
    }

private:
    using answered = std::function<void(result<value>)>;
    using on_revert = std::function<void(const std::string&)>;

    static result<std::uint64_t> number_of(result<value> v) {
        if (!v) return v.error();
        const auto* text = v->as<std::string>();
        const auto n = text ? from_quantity(*text) : result<std::uint64_t>(refusal{});
        if (!n) return unusable("a number");
        return *n;
    }
    void ask_number(const char* method, value::list params, tell<std::uint64_t> t) {
        ask(method, std::move(params), [t](result<value> v) { t(number_of(std::move(v))); });
    }
    void block_named(std::string which, tell<block> t) {
        ask("eth_getBlockByNumber", {std::move(which), false}, [t](result<value> v) { v ? t(block_of(*v)) : t(v.error()); });
    }
    // The node is asked once which chain it is; what it says of another one is not looked at.
    void ask(const char* method, value::list params, answered then, on_revert reverts = {}) {
        if (known_) return ask_now(method, std::move(params), std::move(then), std::move(reverts));
        ask_now("eth_chainId", {}, [self = shared_from_this(), method, params = std::move(params), then, reverts](result<value> v) mutable {
            const auto id = number_of(std::move(v));
            if (!id) return then(id.error());
            if (*id != self->at_.chain_id)
                return then(refusal{"rpc_wrong_chain", "the node is on chain " + std::to_string(*id) + ", not on " + std::to_string(self->at_.chain_id)});
            self->known_ = true;
            self->ask_now(method, std::move(params), std::move(then), std::move(reverts));
        }, {});
    }
    void ask_now(const char* method, value::list params, answered then, on_revert reverts) {
        const auto id = ++last_;
        http::call c;
        c.method = "POST", c.url = at_.url, c.within = at_.within;
        c.body = to_json(value::map{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
        for (const auto& [name, text] : at_.headers) c.head.set(name, text);
        c.head.set("content-type", "application/json");
        web_(std::move(c), [id, then, reverts](result<http::response> r) {
            if (!r) return then(refusal{r.error().code == "http_unreachable" ? "rpc_unreachable" : "rpc_unknown", r.error().text});
            if (r->status == 429) return then(refusal{"rpc_busy", "the node asks for fewer questions (HTTP 429)"});
            const auto body = from_json(r->body, json_form::plain, {2 << 20, 32, 200'000});
            if (!body) return then(unusable("HTTP " + std::to_string(r->status) + ", " + body.error().text));
            const auto* said_id = body->find("id") ? body->find("id")->as<std::int64_t>() : nullptr;
            if (!said_id || *said_id != static_cast<std::int64_t>(id)) return then(unusable("it answers another question"));
            if (const auto* error = body->find("error"); error && !error->is_null()) {
                if (reverts)
                    if (const auto why = reverted(*error)) return reverts(*why);
                return then(in_our_codes(*error));
            }
            const auto* found = body->find("result");
            if (!found) return then(unusable("no result"));
            then(*found);
        });
    }

    http::fetcher web_;
    endpoint at_;
    std::atomic<bool> known_ = false;
    std::atomic<std::int64_t> last_ = 0;
};

} // namespace

std::shared_ptr<chain> make_json_rpc(http::fetcher web, endpoint at) { return std::make_shared<json_rpc>(std::move(web), std::move(at)); }

} // namespace souk::evm
