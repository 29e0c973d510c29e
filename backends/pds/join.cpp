#include <souk/backends/pds/join.hpp>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>

namespace souk::pds {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t largest_log = 2 << 20, most_rotation_keys = 5;
constexpr std::string_view create_account = "com.atproto.server.createAccount";

refusal refused(const reply& r) { return {"pds_refused", "the host refuses: " + r.error + (r.message.empty() ? "" : ", " + r.message)}; }

result<http::response> ask(http::client& web, const std::string& url, std::optional<value> body, const std::string& token = {}) {
    http::call c;
    c.url = url, c.within = 15s, c.largest_answer = largest_log;
    if (body) c.method = "POST", c.body = to_json(*body), c.head.set("Content-Type", "application/json");
    if (!token.empty()) c.head.set("Authorization", "Bearer " + token);
    return web.fetch_now(std::move(c));
}
result<value> body_of(const http::response& r) {
    json_limits limits;
    limits.bytes = largest_log;
    return from_json(r.body, json_form::plain, limits);
}

// What the directory has; none: it does not know the DID.
result<std::optional<plc::history>> history_at(http::client& web, const std::string& directory, const std::string& did) {
    const auto said = ask(web, directory + '/' + did + "/log/audit", std::nullopt);
    if (!said) return refusal{"plc_unreachable", directory + ": " + said.error().text};
    if (said->status == 404) return std::optional<plc::history>();
    if (said->status != 200) return refusal{"plc_unreachable", directory + " answered " + std::to_string(said->status)};
    const auto log = body_of(*said);
    if (!log) return refusal{"bad_plc_log", log.error().text};
    auto all = plc::read_history(did, *log);
    if (!all) return all.error();
    return std::optional(std::move(*all));
}
result<void> tell(http::client& web, const std::string& directory, const std::string& did, const value& operation) {
    const auto said = ask(web, directory + '/' + did, operation);
    if (!said) return refusal{"plc_unreachable", directory + ": " + said.error().text};
    if (said->status / 100 != 2) return refusal{"plc_refused", directory + " answered " + std::to_string(said->status) + ' ' + said->body.substr(0, 200)};
    return {};
}

void keep(const joining& j, const value& log) { tls::write_secret(j.plc_log, to_json(log)); }

// The identity that is brought: as it was kept, else a new one, kept before anyone hears of it.
result<plc::history> own_identity(const joining& j, const crypto::secret& rotation_key) {
    if (std::filesystem::exists(j.plc_log)) {
        const auto log = from_json(tls::read_file(j.plc_log, largest_log), json_form::plain);
        const auto* all = log ? log->as<value::list>() : nullptr;
        if (!all || all->empty()) return refusal{"bad_plc_log", j.plc_log.string() + " is damaged"};
        const auto* first = all->front().find("operation");
        return plc::read_history(plc::did_of(first ? *first : all->front()), *log);
    }
    const auto rotation = crypto::public_of(crypto::curve::k256, rotation_key);
    if (!rotation) return rotation.error();
    const auto first = plc::genesis({*rotation, j.signing, "", j.handle, j.host}, rotation_key);
    keep(j, value::list{first});
    return plc::read_history(plc::did_of(first), value::list{first});
}

value::map methods_with(const value* before, const joining& j) {
    value::map methods;
    if (const auto* m = before ? before->as<value::map>() : nullptr) methods = *m;
    methods["attestation"] = j.signing.did_key();
    return methods;
}

// What the identity says once it lives at this host: the host's key signs commits, ours attests records, and our rotation key comes first.
value::map settled(const value& last, const value& recommended, const joining& j) {
    value::map fields;
    value::list keys = *last.find("rotationKeys")->as<value::list>();
    if (const auto* theirs = recommended.find("rotationKeys"); theirs && theirs->as<value::list>())
        for (const auto& one : *theirs->as<value::list>())
            if (std::find(keys.begin(), keys.end(), one) == keys.end() && keys.size() < most_rotation_keys) keys.push_back(one);
    fields["rotationKeys"] = std::move(keys);
    fields["verificationMethods"] = methods_with(recommended.find("verificationMethods"), j);
    for (const auto* name : {"alsoKnownAs", "services"})
        if (const auto* said = recommended.find(name)) fields[name] = *said;
    if (auto* names = fields["alsoKnownAs"].as<value::list>(); names && !j.also.empty())
        if (const value name = "at://" + j.also; std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
    return fields;
}
bool says(const value& operation, const value::map& fields) {
    return std::all_of(fields.begin(), fields.end(), [&](const auto& f) {
        const auto* there = operation.find(f.first);
        return there && *there == f.second;
    });
}

} // namespace

result<std::string> make_account(http::client& web, session& host, const joining& j, const crypto::secret& rotation_key, const crypto::secret& signing_key,
                                 const crypto::secret& password) {
    auto own = own_identity(j, rotation_key);
    if (!own) return own.error();
    const auto did = own->did;

    auto there = history_at(web, j.plc_directory, did);
    if (!there) return there.error();
    if (!*there) {
        if (const auto told = tell(web, j.plc_directory, did, own->all.front().operation); !told) return told.error();
        j.say(did + " is in the directory " + j.plc_directory);
        there = history_at(web, j.plc_directory, did);
        if (!there) return there.error();
        if (!*there) return refusal{"plc_refused", j.plc_directory + " does not show what it was told"};
    }

    // The host wants proof that whoever brings a DID may: a token signed by the key that the DID names now. An account that is there logs in.
    const auto described = ask(web, j.host + "/xrpc/com.atproto.server.describeServer", std::nullopt);
    const auto about = described && described->status == 200 ? body_of(*described) : result<value>(refusal{"pds_unreachable", j.host + " does not describe itself"});
    if (!about) return about.error();
    if (!host.log_in()) {
        const auto now = std::chrono::floor<std::chrono::seconds>(j.now()).time_since_epoch().count();
        auto token = jwt::sign_es256k({{"iss", did}, {"aud", about->text("did")}, {"lxm", create_account}, {"iat", now}, {"exp", now + 60}}, signing_key);
        if (!token) return token.error();
        value::map body{{"did", did}, {"handle", j.handle}, {"password", std::string(password.view())}};
        if (!j.email.empty()) body.emplace("email", j.email);
        if (!j.invite.empty()) body.emplace("inviteCode", j.invite);
        const auto said = ask(web, j.host + "/xrpc/" + std::string(create_account), value(std::move(body)), *token);
        if (!said) return refusal{said.error().code == "http_unreachable" ? "pds_unreachable" : "pds_unknown", j.host + ": " + said.error().text + "; run this again"};
        if (said->status != 200) {
            const auto why = body_of(*said);
            return refusal{"pds_refused", "the host refuses: " + std::to_string(said->status) + ' ' + (why ? std::string(why->text("message").substr(0, 200)) : std::string())};
        }
        j.say("the account " + j.handle + " is made at " + j.host);
        host.try_again();
        if (const auto in = host.log_in(); !in) return in.error();
    }
    if (host.did() != did) return refusal{"pds_login", j.handle + " is another's account: " + host.did()};

    const auto recommended = host.call({"com.atproto.identity.getRecommendedDidCredentials", {}, std::nullopt});
    if (!recommended) return recommended.error();
    if (!recommended->well()) return refused(*recommended);
    const auto fields = settled((*there)->last(), recommended->body, j);
    if (!says((*there)->last(), fields)) {
        const auto operation = plc::change((*there)->last(), fields, rotation_key);
        if (!operation) return operation.error();
        if (const auto told = tell(web, j.plc_directory, did, *operation); !told) return told.error();
        j.say("the identity names the host, the host's key for commits, and this node's for what it signs");
    }
    auto now_there = history_at(web, j.plc_directory, did);
    if (!now_there) return now_there.error();
    if (!*now_there || !says((*now_there)->last(), fields)) return refusal{"plc_refused", j.plc_directory + " does not show what it was told; run this again"};
    keep(j, (*now_there)->audit());

    const auto active = host.call({"com.atproto.server.activateAccount", {}, value(value::map{})});
    if (!active) return active.error();
    if (!active->well()) return refused(*active);
    j.say("the account is active");
    return did;
}

result<bool> names_key(http::client& web, const std::string& plc_directory, const std::string& did, const crypto::public_key& key) {
    if (!did.starts_with("did:plc:")) return refusal{"did_unresolved", did + " is no did:plc; its document is its owner's to change"};
    const auto there = history_at(web, plc_directory, did);
    if (!there) return there.error();
    if (!*there) return refusal{"did_unresolved", plc_directory + " does not know " + did};
    const auto& signing = (*there)->document.signing;
    return std::find(signing.begin(), signing.end(), key) != signing.end();
}

result<void> ask_for_code(session& host) {
    const auto said = host.call({"com.atproto.identity.requestPlcOperationSignature", {}, value(value::map{})});
    if (!said) return said.error();
    if (!said->well()) return refused(*said);
    return {};
}

result<void> bind_key(http::client& web, session& host, const joining& j, const std::string& code) {
    if (const auto in = host.log_in(); !in) return in.error();
    const auto there = history_at(web, j.plc_directory, host.did());
    if (!there) return there.error();
    if (!*there) return refusal{"did_unresolved", j.plc_directory + " does not know " + host.did()};
    value::map wanted{{"token", code}, {"verificationMethods", methods_with((*there)->last().find("verificationMethods"), j)}};
    const auto signed_ = host.call({"com.atproto.identity.signPlcOperation", {}, value(std::move(wanted))});
    if (!signed_) return signed_.error();
    const auto* operation = signed_->well() ? signed_->body.find("operation") : nullptr;
    if (!operation) return refused(*signed_);
    const auto said = host.call({"com.atproto.identity.submitPlcOperation", {}, value(value::map{{"operation", *operation}})});
    if (!said) return said.error();
    if (!said->well()) return refused(*said);
    return {};
}

} // namespace souk::pds
