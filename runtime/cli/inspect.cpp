// souk inspect: decodes and verifies any artefact: a record (JSON or DAG-CBOR), a receipt with its seal, an x402 header, a JWT, the log of a did:plc.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/format.h>

#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/attest.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/evm/permit2.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>
#include <souk/messages/lexicon.hpp>
#include <souk/messages/seal.hpp>
#include <souk/messages/x402.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/view.hpp>
#include <souk/runtime/clock.hpp>

namespace souk::cli {

namespace {

constexpr std::size_t largest = 2 << 20;

struct question {
    std::string file, as, repository, jwks;
    bool offline = false;
};

result<std::string> read(const std::string& file) {
    std::stringstream all;
    if (file == "-") {
        all << std::cin.rdbuf();
    } else {
        std::ifstream in(file, std::ios::binary);
        if (!in) return refusal{"cannot_read", file + " cannot be read"};
        all << in.rdbuf();
    }
    auto text = all.str();
    if (text.size() > largest) return refusal{"too_large", file + " is larger than 2 MiB"};
    return text;
}

std::string trimmed(std::string s) {
    while (!s.empty() && (s.back() == '\n' || s.back() == '\r' || s.back() == ' ')) s.pop_back();
    const auto from = s.find_first_not_of(" \r\n\t");
    return from == std::string::npos ? "" : s.substr(from);
}

std::string kind_of(const std::string& text) {
    const auto t = trimmed(text);
    if (!t.empty() && t.front() == '{') return "record";
    if (!t.empty() && t.front() == '[') return "plc";
    if (std::count(t.begin(), t.end(), '.') == 2 && t.find_first_of("{ \n") == std::string::npos) return "jwt";
    if (const auto bytes = from_base64(t); bytes && !bytes->empty() && bytes->front() == '{') return "x402";
    return "cbor";
}

std::string said(const result<void>& r) { return r ? "good" : "BAD: " + r.error().text + " (" + r.error().code + ')'; }

// -- records ---------------------------------------------------------------------------------------------------------------------
template <class R>
bool shape(const value& v, value::map& out) {
    if (v.text("$type") != R::nsid) return false;
    const auto r = from_record<R>(v);
    out["shape"] = r ? "a well-formed " + std::string(R::nsid) : "BAD: " + r.error().text + " (" + r.error().code + ')';
    return true;
}

void signatures(const context& c, const question& q, const value& record, value::map& out) {
    const auto entries = list_of(record, "signatures");
    if (entries.empty()) {
        out["signatures"] = "none";
        return;
    }
    // Which repository it lives in is part of what is signed; without being told, the first issuer's own is tried.
    const auto repository = q.repository.empty() ? text_of(entries.front(), "issuer") : q.repository;
    out["repository"] = repository;
    if (q.offline) {
        // Offline, a key is only compared with what the entry itself names: that proves integrity, not authorship.
        const auto keys = [&](std::string_view) -> result<std::vector<crypto::public_key>> {
            std::vector<crypto::public_key> all;
            for (const auto& e : entries)
                if (auto k = crypto::public_key::from_did_key(text_of(e, "key"))) all.push_back(*k);
            return all;
        };
        out["signatures"] = said(check_attestation(record, repository, text_of(entries.front(), "issuer"), keys)) + " (offline: whose key it is was not asked)";
        return;
    }
    const auto by_node = c.ask().get("/v1/resolve", {{"did", repository}});
    if (!by_node) {
        out["signatures"] = "cannot be told: " + by_node.error().text + "; --offline checks all but whose key it is";
        return;
    }
    const auto document = read_document(*by_node, repository);
    if (!document) {
        out["signatures"] = "cannot be told: " + document.error().text;
        return;
    }
    const auto keys = [&](std::string_view who) -> result<std::vector<crypto::public_key>> {
        if (who != repository) return refusal{"issuer_not_author", "signed by " + std::string(who)};
        return document->signing;
    };
    out["signatures"] = said(check_attestation(record, repository, repository, keys));
    if (const auto* stale = by_node->find("stale"); stale && stale->as<bool>() && *stale->as<bool>())
        out["keys"] = "as of " + text_of(*by_node, "asOf") + ": they cannot be verified now";
}

void seal_of(const context& c, const value& record, value::map& out) {
    const auto read = read_receipt(record.text("$type"), record);
    const auto* r = read ? &read->said : nullptr;
    if (!r || !r->sealed || !r->accept) return;
    std::error_code none;
    if (!std::filesystem::exists(c.node / "keys", none)) {
        out["seal"] = "closed: no keys at " + (c.node / "keys").string();
        return;
    }
    const keyring keys(c.node / "keys");
    const auto open = open_access(r->sealed->data, r->accept->record.cid, keys.seal().public32, keys.seal().private32);
    out["seal"] = open ? "opens with this node's key" : "closed: " + open.error().text;
    if (open) out["access"] = to_value(*open);
}

value inspect_record(const context& c, const question& q, const value& record, bool was_json) {
    value::map out;
    const auto bytes = encode_dag_cbor(record);
    out["kind"] = "record";
    out["type"] = std::string(record.text("$type"));
    out["cid"] = cid::of_dag_cbor(bytes).text();
    out["bytes"] = static_cast<std::int64_t>(bytes.size());
    bool known = false;
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, boost::mp11::mp_append<all_records, later_records>>>(
        [&]<class I>(I) { known = known || shape<typename I::type>(record, out); });
    if (known) out["lexicon"] = said(known_lexicons().check_record(record.text("$type"), record));
    else out["shape"] = "not a kind that is known here";
    signatures(c, q, record, out);
    seal_of(c, record, out);
    if (!was_json) out["record"] = to_json(record, json_form::atproto);
    return value(std::move(out));
}

// -- tokens and payments ------------------------------------------------------------------------------------------------------------
value inspect_jwt(const question& q, const std::string& text) {
    value::map out;
    out["kind"] = "jwt";
    const auto p = jwt::split(trimmed(text));
    if (!p) return out["BAD"] = p.error().text, value(std::move(out));
    out["header"] = p->header, out["claims"] = p->claims;
    jwt::expected want;
    want.issuer = text_of(p->claims, "iss"), want.audience = text_of(p->claims, "aud"), want.now = wall_clock()();
    want.longest = std::chrono::hours{24 * 366};
    out["times"] = said(jwt::check_claims(p->claims, want));
    if (!q.jwks.empty()) {
        const auto keys = read(q.jwks);
        const auto set = keys ? from_json(*keys) : result<value>(keys.error());
        if (!set) return out["signature"] = "cannot be told: " + set.error().text, value(std::move(out));
        const auto good = jwt::verify_rs256(trimmed(text), *set, want);
        out["signature"] = good ? "good" : "BAD: " + good.error().text + " (" + good.error().code + ')';
    } else {
        out["signature"] = "not checked: --jwks FILE names the issuer's keys";
    }
    return value(std::move(out));
}

// As far as no chain is asked, against what it says that it accepted.
result<crypto::address> judged(const x402::payment& p, instant now) {
    const auto& permit = p.payload.permit2Authorization;
    if (!permit) return x402::check_exact(p, p.accepted, now);
    if (const auto terms = evm::permit2::check_terms(p, p.accepted, {permit->witness.facilitator.value_or("")}, now); !terms) return terms.error();
    return evm::permit2::check_signature(*x402::chain_of(p.accepted.network), p.payload);
}

value inspect_x402(const std::string& text) {
    value::map out;
    const auto t = trimmed(text);
    if (const auto p = x402::from_header<x402::payment>(t)) {
        out["kind"] = "x402 payment", out["payment"] = x402::wire_of(*p);
        const auto payer = judged(*p, wall_clock()());
        out["verdict"] = payer ? "good: signed by " + *payer : "BAD: " + payer.error().text + " (" + payer.error().code + ')';
    } else if (const auto need = x402::from_header<x402::payment_required>(t)) {
        out["kind"] = "x402 demand", out["demand"] = to_value(*need);
    } else if (const auto done = x402::from_header<x402::settlement>(t)) {
        out["kind"] = "x402 settlement", out["settlement"] = to_value(*done);
    } else {
        out["kind"] = "x402", out["BAD"] = p.error().text;
    }
    return value(std::move(out));
}

// -- identities ---------------------------------------------------------------------------------------------------------------------
value inspect_plc(const std::string& text) {
    value::map out;
    out["kind"] = "log of a did:plc";
    json_limits limits;
    limits.bytes = largest;
    const auto log = from_json(text, json_form::plain, limits);
    const auto* all = log ? log->as<value::list>() : nullptr;
    if (!all || all->empty()) return out["BAD"] = log ? "no list of operations" : log.error().text, value(std::move(out));
    const auto* first = all->front().find("operation");
    // An audit log names its DID, a bare one makes it.
    const auto did = first ? text_of(all->front(), "did") : plc::did_of(all->front());
    const auto h = plc::read_history(did, *log);
    out["did"] = did;
    out["form"] = first ? "audit log" : "bare log: when, and what was nullified, is not in it";
    out["verdict"] = h ? std::string(h->given_up ? "good, and given up" : "good") : "BAD: " + h.error().text + " (" + h.error().code + ')';
    if (!h) return value(std::move(out));
    value::list operations;
    for (const auto& e : h->all) {
        value::map one{{"cid", e.id.text()}, {"type", e.operation.text("type")}, {"nullified", e.nullified}, {"signed_by", "rotation key " + std::to_string(e.by + 1)}};
        if (e.at) one["at"] = to_datetime(*e.at);
        operations.push_back(std::move(one));
    }
    out["operations"] = std::move(operations);
    out["head"] = h->head_cid().text();
    if (!h->given_up) out["says"] = to_json_document(h->document);
    return value(std::move(out));
}

std::string lines(const value& v) {
    std::string out;
    for (const auto& [key, x] : *v.as<value::map>()) out += fmt::format("{:<11} {}\n", key, x.as<std::string>() ? *x.as<std::string>() : to_pretty_json(x, json_form::atproto));
    return out;
}

void inspect(context& c, const question& q) {
    const auto text = read(q.file);
    if (!text) return c.fail(text.error());
    const auto kind = q.as.empty() ? kind_of(*text) : q.as;
    value found;
    if (kind == "jwt") {
        found = inspect_jwt(q, *text);
    } else if (kind == "x402") {
        found = inspect_x402(*text);
    } else if (kind == "plc") {
        found = inspect_plc(*text);
    } else {
        const bool json = kind == "record";
        auto v = json ? from_json(*text, json_form::atproto) : decode_dag_cbor(*text);
        if (!v) return c.fail(v.error());
        if (const auto* inner = v->find("record"); inner && json) v = value(*inner);
        else if (const auto* content = v->find("value"); content && json) v = value(*content);
        found = inspect_record(c, q, *v, json);
    }
    c.print(found, lines);
    for (const auto& [key, x] : *found.as<value::map>())
        if (key == "BAD" || (x.as<std::string>() && x.as<std::string>()->rfind("BAD", 0) == 0)) c.status = refused_status;
}

} // namespace

void add_inspect(CLI::App& app, context& c) {
    static question q;
    auto* s = app.add_subcommand("inspect", "decode and verify a record, a receipt with its seal, an x402 header, a JWT, the log of a did:plc");
    s->add_option("file", q.file, "or - for standard input")->required();
    s->add_option("--as", q.as, "record, cbor, jwt, x402 or plc (default: by its look)")->check(CLI::IsMember({"record", "cbor", "jwt", "x402", "plc"}));
    s->add_option("--repository", q.repository, "DID of the repository that the record lives in (default: its signer's)");
    s->add_option("--jwks", q.jwks, "file with the issuer's keys, for a JWT");
    s->add_flag("--offline", q.offline, "ask nobody: checks everything but whose key it is");
    s->callback([&c] { inspect(c, q); });
}

} // namespace souk::cli
