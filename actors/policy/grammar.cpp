#include <souk/actors/policy/grammar.hpp>

#include <algorithm>

#include <souk/actors/policy/rules.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/money.hpp>

namespace souk::policy {

namespace {

constexpr std::string_view names = "denounced, vouched, operator, allow, deny, price, ceiling, expiry, location, tier, history, remote, open";
constexpr std::int64_t most_counted = 1'000'000;

// The words after the name, taken one by one. What is wrong first is what is told.
class words {
public:
    explicit words(std::vector<std::string> all) : all_(std::move(all)) {}
    bool done() const { return next_ == all_.size(); }
    std::string next() { return done() ? "" : all_[next_++]; }
    const std::string& wrong() const { return wrong_; }
    void fail(std::string why) {
        if (wrong_.empty()) wrong_ = std::move(why);
    }
    void expect(std::string_view word) {
        if (next() != word) fail("expected \"" + std::string(word) + '"');
    }
    void end() {
        if (!done()) fail("\"" + all_[next_].substr(0, 64) + "\" is not understood");
    }
    // "key=..." or another sign, anywhere among the rest, at most once.
    std::optional<std::string> option(std::string_view key_and_sign) {
        std::optional<std::string> found;
        for (auto at = next_; at < all_.size();) {
            if (!all_[at].starts_with(key_and_sign)) {
                ++at;
                continue;
            }
            if (found) fail(std::string(key_and_sign) + " is there twice");
            found = all_[at].substr(key_and_sign.size());
            all_.erase(all_.begin() + static_cast<std::ptrdiff_t>(at));
        }
        return found;
    }
    std::optional<std::int64_t> number(std::string_view key_and_sign, std::int64_t least, std::int64_t most) {
        const auto text = option(key_and_sign);
        if (!text) return std::nullopt;
        const bool digits = !text->empty() && text->size() <= 7 && text->find_first_not_of("0123456789") == text->npos &&
                            (text->size() == 1 || text->front() != '0');
        const auto n = digits ? std::stoll(*text) : -1;
        if (n < least || n > most) fail(std::string(key_and_sign) + " takes a number from " + std::to_string(least) + " to " + std::to_string(most));
        return n;
    }
    std::optional<std::string> name(std::string_view key_and_sign) {
        auto text = option(key_and_sign);
        if (!text) return text;
        const auto letter = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        };
        if (text->empty() || text->size() > 64 || !std::all_of(text->begin(), text->end(), letter))
            fail(std::string(key_and_sign) + " takes a name of letters, digits, - _ .");
        return text;
    }

private:
    std::vector<std::string> all_;
    std::size_t next_ = 0;
    std::string wrong_;
};

vouching how_far(words& w) {
    vouching v;
    v.depth = static_cast<unsigned>(w.number("depth=", 1, deepest).value_or(1));
    v.decay = static_cast<unsigned>(w.number("decay=", 1, 100).value_or(50));
    v.least = static_cast<unsigned>(w.number("least=", 1, 100).value_or(1));
    return v;
}

std::set<std::string> list_of(words& w) {
    std::set<std::string> who;
    while (!w.done()) {
        const auto did = w.next();
        if (!is_did(did)) w.fail("\"" + did.substr(0, 64) + "\" is no DID");
        who.insert(did);
    }
    if (who.empty()) w.fail("expected at least one DID");
    if (who.size() > most_listed) w.fail("at most " + std::to_string(most_listed) + " DIDs in one rule");
    return who;
}

// did:web of a host, with or without a port; no path: it is a host that is asked.
bool is_host_did(std::string_view did) {
    constexpr std::string_view head = "did:web:";
    return is_did(did) && did.starts_with(head) && did.substr(head.size()).find(':') == did.npos && did.size() <= 300;
}

remote_engine engine_of(words& w) {
    remote_engine e;
    e.did = w.next();
    if (!is_host_did(e.did)) w.fail("expected the engine's DID, did:web:HOST");
    e.name = w.name("name=").value_or("");
    const auto uri = w.option("policy="), of = w.option("cid=");
    if (uri.has_value() != of.has_value()) w.fail("policy= and cid= go together");
    if (!uri || !of) return e;
    if (!at_uri::parse(*uri)) w.fail("policy= takes an at-uri");
    if (!cid::parse(*of)) w.fail("cid= takes a CID");
    e.policy = strong_ref{*uri, *of};
    return e;
}

rule price_of_rule(const std::string& text, words& w) {
    w.expect("at-most");
    const auto figure = w.next();
    const auto most = from_decimal(figure);
    if (!most) w.fail("expected an amount like 0.10, found \"" + figure.substr(0, 64) + '"');
    w.expect("per");
    const auto unit = w.next();
    const std::int64_t seconds = unit == "hour" ? 3600 : unit == "day" ? 86'400 : unit == "month" ? 30 * 86'400 : 0;
    if (seconds == 0) w.fail("expected per hour, day or month");
    return price_rule(text, most ? *most : 0, std::max<std::int64_t>(1, seconds), figure.substr(0, 32) + " a " + unit);
}

std::string least_tier(words& w) {
    if (w.done()) return {};
    w.expect("at-least");
    auto tier = w.next();
    if (tier != "none" && tier != "simulated" && tier != "hardware") w.fail("expected none, simulated or hardware");
    return tier;
}

rule made(const std::string& name, const std::string& text, words& w) {
    if (name == "denounced") return denounced_rule(text, static_cast<unsigned>(w.number("reach=", 0, deepest).value_or(0)));
    if (name == "vouched") return vouched_rule(text, how_far(w));
    if (name == "operator") return operator_rule(text, how_far(w));
    if (name == "allow") return allow_rule(text, list_of(w));
    if (name == "deny") return deny_rule(text, list_of(w));
    if (name == "price") return price_of_rule(text, w);
    if (name == "ceiling") return ceiling_rule(text);
    if (name == "expiry") return expiry_rule(text);
    if (name == "open") return open_rule(text);
    if (name == "location") {
        place p;
        p.country = w.name("country="), p.region = w.name("region=");
        return location_rule(text, p);
    }
    if (name == "tier") return tier_rule(text, least_tier(w));
    if (name == "history") {
        const auto honoured = w.number("honoured>=", 0, most_counted), broken = w.number("broken<=", 0, most_counted);
        if (!honoured && !broken) w.fail("expected honoured>=N or broken<=N, or both");
        return history_rule(text, honoured, broken);
    }
    if (name == "remote") return remote_rule(text, engine_of(w));
    w.fail("there is no such rule; there are " + std::string(names));
    return open_rule(text);
}

} // namespace

std::string_view name_of(std::string_view text) { return text.substr(0, text.find(' ')); }

result<rule> parse_rule(std::string_view text) {
    const auto quoted = '"' + std::string(text.substr(0, 64)) + (text.size() > 64 ? "...\"" : "\"");
    if (text.size() > longest_rule) return refusal{"bad_rule", "policy rule " + quoted + ": longer than " + std::to_string(longest_rule) + " bytes"};
    if (std::any_of(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }))
        return refusal{"bad_rule", "a policy rule is written in plain ASCII, on one line"};
    std::vector<std::string> all;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find(' ', at), text.size());
        if (end > at) all.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    if (all.empty()) return refusal{"bad_rule", "an empty policy rule; there are " + std::string(names)};
    std::string shown;
    for (const auto& x : all) shown += (shown.empty() ? "" : " ") + x;
    const auto name = all.front();
    all.erase(all.begin());
    words w(std::move(all));
    auto r = made(name, shown, w);
    if (w.wrong().empty()) w.end();
    if (!w.wrong().empty()) return refusal{"bad_rule", "policy rule " + quoted + ": " + w.wrong()};
    return r;
}

result<void> check_rules(const std::vector<std::string>& texts) {
    if (texts.size() > longest_chain) return refusal{"bad_rule", "a policy has at most " + std::to_string(longest_chain) + " rules"};
    for (const auto& text : texts)
        if (const auto r = parse_rule(text); !r) return r.error();
    return {};
}

std::vector<std::string> split_rules(std::string_view text) {
    std::vector<std::string> all;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find(',', at), text.size());
        auto one = text.substr(at, end - at);
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (!one.empty()) all.emplace_back(one);
        at = end + 1;
    }
    return all;
}

} // namespace souk::policy
