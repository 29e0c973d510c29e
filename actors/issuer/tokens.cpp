#include <souk/actors/issuer/tokens.hpp>

#include <algorithm>
#include <set>

#include <souk/messages/json.hpp>
#include <souk/messages/rbac.hpp>

namespace souk::workload {

namespace {

constexpr std::string_view account_api = "api://ATProto?actx=", boot_api = "api://DigitalOcean?actx=";
constexpr std::size_t longest_subject = 1024, longest_machine = 256;

bool is_part(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    });
}

std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }

value::map claims_of(const issuer& by, std::string audience, std::string subject, const moment& at, std::chrono::seconds life) {
    const auto now = seconds_of(at.now);
    return {{"iss", by.uri}, {"aud", std::move(audience)}, {"sub", std::move(subject)},
            {"iat", now},    {"exp", now + life.count()},  {"jti", at.id}};
}

} // namespace

result<std::string> subject_part(std::string_view subject, std::string_view name) {
    const auto bad = [](const char* why) { return refusal{"bad_subject", why}; };
    if (subject.size() > longest_subject) return bad("a subject is at most 1 KiB");
    std::vector<std::string_view> parts;
    for (std::string_view rest = subject;;) {
        const auto colon = rest.find(':');
        parts.push_back(rest.substr(0, colon));
        if (colon == std::string_view::npos) break;
        rest.remove_prefix(colon + 1);
    }
    if (parts.size() % 2 != 0) return bad("a subject is names and values by turns, divided by colons");
    if (!std::all_of(parts.begin(), parts.end(), is_part)) return bad("the parts of a subject are letters, digits, \".\", \"_\" and \"-\"");
    std::set<std::string_view> names;
    std::optional<std::string> found;
    for (std::size_t i = 0; i < parts.size(); i += 2) {
        if (!names.insert(parts[i]).second) return bad("a subject has each name once");
        if (parts[i] == name) found = parts[i + 1];
    }
    if (!found) return refusal{"bad_subject", "the subject does not say its " + std::string(name)};
    return *found;
}

result<std::string> boot_token(const issuer& by, const boot_token_request& what, const moment& at) {
    if (what.machine.empty() || what.machine.size() > longest_machine) return refusal{"bad_machine", "a boot token is for a machine that is named"};
    const auto actx = subject_part(what.subject, "actx");
    if (!actx) return actx.error();
    if (*actx != by.actx) return refusal{"bad_subject", "the subject is not of this issuer's own actx, " + by.actx};
    if (const auto plc = subject_part(what.subject, "plc"); !plc) return plc.error();
    auto claims = claims_of(by, boot_audience(by.actx), what.subject, at, by.boot_token_life);
    claims.emplace("machine", what.machine);
    return by.key.sign(std::move(claims));
}

result<std::string> exchanged_token(const issuer& by, const token_exchange& what, const moment& at) {
    if (what.ttl <= 0) return refusal{"bad_ttl", "a token lives for one second at least"};
    jwt::expected ours;
    ours.issuer = by.uri, ours.audience = boot_audience(by.actx), ours.now = at.now;
    ours.longest = by.boot_token_life;
    const auto boot = jwt::verify_rs256(what.boot_token, by.jwks, ours);
    if (!boot) return boot.error();

    const auto subject = boot->text("sub");
    if (what.subject != subject) return refusal{"wrong_subject", "the token asked for has another subject than the boot token"};
    const auto plc = subject_part(subject, "plc");
    if (!plc) return plc.error();
    const auto did = account_of(what.audience);
    if (!did) return did.error();
    const auto named = render_subject("{did-plc-key}", by.actx, *did, "none"); // the very rule that made the subject
    if (!named || *named != *plc) return refusal{"wrong_account", "the machine works for another account than the audience names"};

    const auto life = std::min(std::chrono::seconds{what.ttl}, by.longest_ttl);
    return by.key.sign(claims_of(by, account_audience(*did), std::string(subject), at, life));
}

std::string discovery(const issuer& by) {
    const value claims = value::list{"sub", "aud", "exp", "iat", "iss"};
    return to_json(value::map{{"issuer", by.uri},
                              {"jwks_uri", by.uri + "/.well-known/jwks"},
                              {"response_types_supported", value::list{"id_token"}},
                              {"claims_supported", claims},
                              {"id_token_signing_alg_values_supported", value::list{"RS256"}},
                              {"scopes_supported", value::list{"openid"}}});
}

std::string boot_audience(const std::string& actx) { return std::string(boot_api) + actx; }
std::string account_audience(const std::string& did) { return std::string(account_api) + did; }

result<std::string> account_of(std::string_view audience) {
    const refusal bad{"bad_audience", "expected the audience api://ATProto?actx=DID"};
    if (!audience.starts_with(account_api)) return bad;
    const auto did = audience.substr(account_api.size());
    if (!is_did(did)) return bad;
    return std::string(did);
}

} // namespace souk::workload
