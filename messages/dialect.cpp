#include <souk/messages/dialect.hpp>

#include <algorithm>

#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>

namespace souk {

namespace {

constexpr std::string_view usual_accept_path = "/root/secrets/publicdomainrelay.com/market/accept.json";
constexpr std::string_view paid_suffix = "/{at}/{cid}", version_0 = "0.0.0";
// What a machine is where the request names no size at all: the smallest that upstream's providers start.
constexpr std::int64_t smallest_cpus = 1;
constexpr std::string_view smallest_mem = "512M", smallest_disk = "10G", smallest_network = "500G";

refusal cannot_say(dialect d, std::string_view what) {
    return {"dialect_cannot_say", std::string(what) + " (" + boost::describe::enum_to_string(d, "?") + ')'};
}

bool is_market(dialect d) { return d == dialect::g3 || d == dialect::g4; }
bool is_free(std::string_view type) { return type == market::bids_free::nsid; }

// -- reading ---------------------------------------------------------------------------------------------------------

// The record as its struct wants it: with the type that its collection says, and without the version, of which there is one.
result<value> settled(std::string_view collection, const value& record) {
    const auto* m = record.as<value::map>();
    if (!m) return refusal{"wrong_type", "a record is a map"};
    auto fields = *m;
    fields.try_emplace("$type", collection);
    if (const auto version = fields.find("version"); version != fields.end()) {
        if (version->second != value(version_0)) return refusal{"unknown_version", "version: only 0.0.0 is known here"};
        fields.erase(version);
    }
    return value(std::move(fields));
}

// Later generations grow by fields that older readers pass over; the first one is read as strictly as ever.
template <class R>
result<R> as(std::string_view collection, const value& record) {
    const auto whole = settled(collection, record);
    if (!whole) return whole.error();
    constexpr bool first = boost::mp11::mp_contains<all_records, R>::value;
    return from_value<R>(*whole, first ? unknown_fields::refuse : unknown_fields::ignore);
}

// The part that a reference means: by its bytes, not by where it came from.
result<value> part_of(const strong_ref& ref, const std::vector<value>& parts, std::string_view field) {
    const auto found = std::ranges::find_if(parts, [&](const value& v) { return cid_of(v).text() == ref.cid; });
    if (found == parts.end()) return refusal{"missing_part", std::string(field) + ": " + ref.uri + " is not at hand as " + ref.cid};
    return *found;
}

std::string_view collection_in(const strong_ref& ref) {
    auto text = std::string_view(ref.uri);
    if (!text.starts_with("at://")) return {};
    text.remove_prefix(5);
    const auto one = text.find('/'), two = one == text.npos ? one : text.find('/', one + 1);
    return two == text.npos ? std::string_view() : text.substr(one + 1, two - one - 1);
}
embed nested(const embed& e, std::string_view kind) { return {std::string(kind), e.record}; }
embed plain(const embed& e) { return {{}, e.record}; }

template <class R>
void nest(R& r) {
    if constexpr (requires { r.embed_; }) r.embed_ = nested(r.embed_, std::same_as<R, ccbap> ? ccb::nsid : ccrfp::nsid);
    if constexpr (requires { r.rfp; }) r.rfp = nested(r.rfp, ccrfp::nsid);
    if constexpr (std::same_as<decltype(r.bid), embed>) r.bid = nested(r.bid, ccb::nsid);
    if constexpr (requires { r.payment; })
        if (r.payment) r.payment->embed_ = nested(r.payment->embed_, ccbap::nsid);
    if constexpr (requires { r.accept; })
        if (r.accept) r.accept = nested(*r.accept, ccba::nsid);
}
void nest(ccrfp&) {}

// g1 and g2: the same fields under two names.
template <class First, class Second>
result<spoken<First>> read_whole(std::string_view collection, const value& record) {
    spoken<First> out;
    if (collection == First::nsid) {
        auto r = as<First>(collection, record);
        if (!r) return r.error();
        out.said = std::move(*r);
    } else {
        auto r = as<Second>(collection, record);
        if (!r) return r.error();
        out.by = dialect::g2, out.said = std::move(static_cast<First&>(*r));
    }
    nest(out.said);
    out.said.signatures.reset();
    return out;
}

refusal no_such(std::string_view collection, std::string_view what) {
    return {"unknown_kind", std::string(collection.substr(0, 317)) + " is no " + std::string(what) + " of any generation"};
}

// Who names a service speaks the fourth.
template <class R>
spoken<R> envelope(const market::text& service) {
    spoken<R> out;
    out.by = service ? dialect::g4 : dialect::g3;
    out.answer_to = service.value_or("");
    return out;
}

result<ccrfp> machine_of(const market::vm& m) {
    ccrfp r;
    const bool unsized = !m.cpus && !m.mem && !m.disk && !m.network;
    for (const auto& [there, name] : {std::pair{m.cpus.has_value(), "cpus"}, {m.mem.has_value(), "mem"}, {m.disk.has_value(), "disk"}, {m.network.has_value(), "network"}})
        if (!there && !unsized) return refusal{"missing_field", std::string("payload.") + name + ": missing"};
    r.cpus = m.cpus.value_or(smallest_cpus);
    r.mem = m.mem.value_or(std::string(smallest_mem)), r.disk = m.disk.value_or(std::string(smallest_disk)), r.network = m.network.value_or(std::string(smallest_network));
    r.location = m.location, r.role = m.role, r.user_data = m.user_data;
    return r;
}

result<bid_terms> terms_of(const market::bids_x402& t) {
    // A template is read as it stands; else the two parts follow, as upstream's clients write them.
    const bool at = t.url.find("{at}") != t.url.npos, of = t.url.find("{cid}") != t.url.npos;
    if (at != of || t.url.empty()) return refusal{"bad_paid_url", "payload.url: expected a web address that accept and CID follow"};
    auto base = t.url;
    while (!at && base.ends_with('/')) base.pop_back();
    if (!at) base += paid_suffix;
    return bid_terms{t.cost, t.currency, t.frequency, t.prepay, {base}, t.slice};
}

const std::optional<embed>& config_of(const market::bid& b) { return b.config ? b.config : b.bidConfig; }

template <class R>
void in_part(result<R>& r, std::string_view field) {
    if (!r) r = refusal{r.error().code, std::string(field) + '.' + r.error().text};
}

} // namespace

std::string_view collection_of(dialect d, speech what) {
    static constexpr std::string_view names[4][4] = {
        {ccrfp::nsid, ccb::nsid, ccba::nsid, ccr::nsid},
        {flat::ccrfp::nsid, flat::ccb::nsid, flat::ccba::nsid, flat::ccr::nsid},
        {market::rfp::nsid, market::bid::nsid, market::accept::nsid, market::receipt::nsid},
        {market::rfp::nsid, market::bid::nsid, market::accept::nsid, market::receipt::nsid},
    };
    return names[static_cast<std::size_t>(d)][static_cast<std::size_t>(what)];
}

std::optional<speech> speech_of(std::string_view collection) {
    for (const auto d : all_dialects)
        for (const auto what : {speech::request, speech::bid, speech::accept, speech::receipt})
            if (collection_of(d, what) == collection) return what;
    return std::nullopt;
}

std::vector<std::string> collections_of(std::initializer_list<speech> wanted) {
    std::vector<std::string> out;
    for (const auto what : wanted)
        for (const auto d : all_dialects)
            if (const std::string name(collection_of(d, what)); std::ranges::find(out, name) == out.end()) out.push_back(name);
    return out;
}

std::optional<strong_ref> request_of(const value& bid) {
    for (const auto* field : {"embed", "rfp"})
        if (const auto* v = bid.find(field))
            if (const auto e = from_value<embed>(*v)) return e->record;
    return std::nullopt;
}

std::vector<strong_ref> parts_of(const value& record) {
    std::vector<strong_ref> out;
    const auto type = record.text("$type");
    const auto add = [&](std::string_view field) {
        if (const auto* v = record.find(field))
            if (const auto e = from_value<embed>(*v); e && std::ranges::find(out, e->record) == out.end()) out.push_back(e->record);
    };
    if (type == market::rfp::nsid || type == market::bid::nsid || type == market::event::nsid) add("payload");
    if (type == market::bid::nsid) add(record.find("config") ? "config" : "bidConfig");
    return out;
}

result<spoken<ccrfp>> read_request(std::string_view collection, const value& record, const std::vector<value>& parts) {
    if (collection == ccrfp::nsid || collection == flat::ccrfp::nsid) return read_whole<ccrfp, flat::ccrfp>(collection, record);
    if (collection != market::rfp::nsid) return no_such(collection, "request");
    const auto r = as<market::rfp>(collection, record);
    if (!r) return r.error();
    if (r->domain && *r->domain != "compute") return refusal{"not_applicable", "domain: what is wanted is no machine"};
    const auto wanted = part_of(r->payload.record, parts, "payload");
    if (!wanted) return wanted.error();
    if (wanted->text("$type") != market::vm::nsid) return refusal{"not_applicable", "payload: what is wanted is no machine"};
    auto m = as<market::vm>(market::vm::nsid, *wanted);
    if (in_part(m, "payload"); !m) return m.error();
    auto out = envelope<ccrfp>(r->submitBid);
    auto said = machine_of(*m);
    if (!said) return said.error();
    out.said = std::move(*said);
    out.said.createdAt = r->createdAt, out.said.expiresAt = r->expiresAt;
    return out;
}

result<spoken<ccb>> read_bid(std::string_view collection, const value& record, const std::vector<value>& parts) {
    if (collection == ccb::nsid || collection == flat::ccb::nsid) return read_whole<ccb, flat::ccb>(collection, record);
    if (collection != market::bid::nsid) return no_such(collection, "bid");
    const auto b = as<market::bid>(collection, record);
    if (!b) return b.error();
    const auto terms = part_of(b->payload.record, parts, "payload");
    if (!terms) return terms.error();
    if (is_free(terms->text("$type"))) return refusal{"free_terms", "payload: the bid asks for nothing; what is not paid for is not bought here"};
    auto t = as<market::bids_x402>(market::bids_x402::nsid, *terms);
    if (in_part(t, "payload"); !t) return t.error();
    auto price = terms_of(*t);
    if (!price) return price.error();
    auto out = envelope<ccb>(b->submitAccept);
    auto& said = out.said;
    said.embed_ = nested(b->rfp, ccrfp::nsid), said.bid = std::move(*price);
    said.location = b->location, said.attestation = b->attestation, said.createdAt = b->createdAt, said.expiresAt = b->expiresAt;
    if (const auto& config = config_of(*b)) {
        // Two spellings that name two things would leave open which machine is meant.
        if (b->config && b->bidConfig && b->config->record != b->bidConfig->record) return refusal{"wrong_type", "bidConfig: names another record than config"};
        const auto found = part_of(config->record, parts, "config");
        if (!found) return found.error();
        auto w = as<market::wif_simple>(market::wif_simple::nsid, *found);
        if (in_part(w, "config"); !w) return w.error();
        auto subject = w->subject;
        // The provider's own account, which he alone can fill in, may come beside the template.
        if (const auto open = subject.find("{actx}"); open != subject.npos && w->actx) subject.replace(open, 6, *w->actx);
        said.wif = wif{w->issuer_uri, w->to_issue, w->token_path, w->url_path, w->url_route, subject};
    }
    return out;
}

result<spoken<ccba>> read_accept(std::string_view collection, const value& record) {
    if (collection == ccba::nsid || collection == flat::ccba::nsid) return read_whole<ccba, flat::ccba>(collection, record);
    if (collection != market::accept::nsid) return no_such(collection, "accept");
    const auto a = as<market::accept>(collection, record);
    if (!a) return a.error();
    auto out = envelope<ccba>(a->submitEvent);
    auto& said = out.said;
    said.embed_ = nested(a->rfp, ccrfp::nsid), said.bid = nested(a->bid, ccb::nsid);
    if (a->payload) said.payment = payment_ref{nested(*a->payload, ccbap::nsid)};
    said.sshKey = a->sshKey, said.sealTo = a->sealTo, said.payer = a->payer, said.createdAt = a->createdAt;
    return out;
}

result<spoken<ccr>> read_receipt(std::string_view collection, const value& record) {
    if (collection == ccr::nsid || collection == flat::ccr::nsid) return read_whole<ccr, flat::ccr>(collection, record);
    if (collection != market::receipt::nsid) return no_such(collection, "receipt");
    const auto r = as<market::receipt>(collection, record);
    if (!r) return r.error();
    auto out = envelope<ccr>(r->submitEvent);
    auto& said = out.said;
    said.rfp = nested(r->rfp, ccrfp::nsid), said.bid = nested(r->bid, ccb::nsid), said.accept = nested(r->accept, ccba::nsid);
    said.sealed = r->sealed, said.attestation = r->attestation, said.previous = r->previous, said.createdAt = r->createdAt.value_or("");
    return out;
}

// -- writing ---------------------------------------------------------------------------------------------------------

namespace {

template <class R>
draft whole(const R& r) {
    return {std::string(R::nsid), to_record(r), {}, true};
}
std::vector<draft> alone(draft d) {
    std::vector<draft> out;
    out.push_back(std::move(d));
    return out;
}

template <class Second, class First>
Second flattened(First r) {
    if constexpr (requires { r.embed_; }) r.embed_ = plain(r.embed_);
    if constexpr (requires { r.rfp; }) r.rfp = plain(r.rfp);
    if constexpr (requires { r.bid.record; }) r.bid = plain(r.bid);
    if constexpr (requires { r.payment; })
        if (r.payment) r.payment->embed_ = plain(r.payment->embed_);
    if constexpr (requires { r.accept; })
        if (r.accept) r.accept = plain(*r.accept);
    Second out;
    static_cast<First&>(out) = std::move(r);
    return out;
}

// The type that references to a part have in upstream's records.
embed typed(const embed& e) { return {"com.atproto.repo.strongRef", e.record}; }

// A field that is filled in later is left out of the draft: its struct's own default would be a reference to nothing.
value without(value record, std::initializer_list<const char*> fields) {
    for (const auto* f : fields) record.as<value::map>()->erase(f);
    return record;
}

market::text said_or_none(dialect d, const std::string& service) { return d == dialect::g4 ? market::text(service) : std::nullopt; }

// Who is answered over a service must be told which; and one that has none says so by speaking the third.
result<void> check_service(dialect d, const std::string& service, std::string_view field) {
    if ((d == dialect::g4) == !service.empty()) return {};
    return cannot_say(d, std::string(field) + (service.empty() ? ": the fourth generation names a service" : ": only the fourth generation names a service"));
}

result<value> config_for(dialect d, const wif& w) {
    market::wif_simple c;
    c.accept_path = usual_accept_path;
    for (const auto& [from, to, name] : {std::tuple{&w.issuer_uri, &c.issuer_uri, "wif.issuer_uri"}, {&w.to_issue, &c.to_issue, "wif.to_issue"},
                                         {&w.token_path, &c.token_path, "wif.token_path"}, {&w.url_path, &c.url_path, "wif.url_path"},
                                         {&w.url_route, &c.url_route, "wif.url_route"}, {&w.subject, &c.subject, "wif.subject"}}) {
        if (!*from) return cannot_say(d, std::string(name) + ": a configuration without it");
        *to = **from;
    }
    return to_record(c);
}

} // namespace

value filled(const draft& d, const std::vector<strong_ref>& published) {
    auto out = d.record;
    for (const auto& n : d.names) out.as<value::map>()->insert_or_assign(n.field, to_value(typed({{}, published.at(n.draft)})));
    return out;
}

result<std::vector<draft>> write_request(dialect d, const ccrfp& r, const std::string& answer_to) {
    if (const auto ok = check_service(d, answer_to, "submitBid"); !ok) return ok.error();
    if (d == dialect::g1) return alone(whole(r));
    if (d == dialect::g2) return alone(whole(flattened<flat::ccrfp>(r)));
    const market::vm m{r.cpus, r.mem, r.disk, r.network, r.location, r.role, r.user_data, r.createdAt};
    market::rfp e;
    e.domain = "compute", e.submitBid = said_or_none(d, answer_to), e.createdAt = r.createdAt, e.expiresAt = r.expiresAt;
    std::vector<draft> out;
    out.push_back({std::string(market::vm::nsid), to_record(m), {}, false});
    out.push_back({std::string(market::rfp::nsid), without(to_record(e), {"payload"}), {{"payload", 0}}, true});
    return out;
}

result<std::vector<draft>> write_bid(dialect d, const ccb& b, const std::string& answer_to) {
    if (const auto ok = check_service(d, answer_to, "submitAccept"); !ok) return ok.error();
    if (d == dialect::g1) return alone(whole(b));
    if (d == dialect::g2) return alone(whole(flattened<flat::ccb>(b)));
    market::bids_x402 t;
    auto url = b.bid.x402.base_url;
    if (!url.ends_with(paid_suffix)) return cannot_say(d, "bid.x402.base_url: one that does not end with " + std::string(paid_suffix));
    url.resize(url.size() - paid_suffix.size());
    if (url.empty() || url.ends_with('/') || url.find('{') != url.npos) return cannot_say(d, "bid.x402.base_url: " + b.bid.x402.base_url);
    t.cost = b.bid.cost, t.currency = b.bid.currency, t.frequency = b.bid.frequency, t.prepay = b.bid.prepay, t.url = url, t.slice = b.bid.slice, t.createdAt = b.createdAt;
    market::bid e;
    e.rfp = typed(b.embed_), e.submitAccept = said_or_none(d, answer_to);
    e.location = b.location, e.attestation = b.attestation, e.createdAt = b.createdAt, e.expiresAt = b.expiresAt;
    std::vector<draft> out;
    out.push_back({std::string(market::bids_x402::nsid), to_record(t), {}, true});
    draft last{std::string(market::bid::nsid), without(to_record(e), {"payload"}), {{"payload", 0}}, true};
    if (b.wif) {
        auto config = config_for(d, *b.wif);
        if (!config) return config.error();
        if (b.createdAt) config->as<value::map>()->emplace("createdAt", *b.createdAt);
        out.push_back({std::string(market::wif_simple::nsid), std::move(*config), {}, false});
        last.names.push_back({"config", 1});
        if (d == dialect::g4) last.names.push_back({"bidConfig", 1}); // the newest requester looks there
    }
    out.push_back(std::move(last));
    return out;
}

result<std::vector<draft>> write_accept(dialect d, const ccba& a, const std::string& answer_to) {
    if (const auto ok = check_service(d, answer_to, "submitEvent"); !ok) return ok.error();
    // A payment that was made before is a ccbap in the first two, a receipts.* in the others: neither is the other's word for it.
    if (a.payment) {
        const auto of = collection_in(a.payment->embed_.record);
        const bool proof = of == market::receipts_x402::nsid || of == market::receipts_free::nsid;
        if (proof != is_market(d)) return cannot_say(d, "payment: a reference to " + std::string(of));
    }
    if (d == dialect::g1) return alone(whole(a));
    if (d == dialect::g2) return alone(whole(flattened<flat::ccba>(a)));
    market::accept e;
    e.rfp = typed(a.embed_), e.bid = typed(a.bid), e.submitEvent = said_or_none(d, answer_to);
    if (a.payment) e.payload = typed(a.payment->embed_);
    e.sshKey = a.sshKey, e.sealTo = a.sealTo, e.payer = a.payer, e.createdAt = a.createdAt;
    return alone(whole(e));
}

result<std::vector<draft>> write_receipt(dialect d, const ccr& r, const std::string& answer_to, const value& accept, std::string_view accept_repository) {
    if (const auto ok = check_service(d, answer_to, "submitEvent"); !ok) return ok.error();
    if (d == dialect::g1) return alone(whole(r));
    if (!r.accept) return cannot_say(d, "ccba: a receipt for no accept");
    if (d == dialect::g2) return alone(whole(flattened<flat::ccr>(r)));
    if (r.createdAt.empty()) return refusal{"bad_datetime", "createdAt: what binds an accept says when"};
    market::receipt e;
    e.rfp = typed(r.rfp), e.bid = typed(r.bid), e.accept = typed(*r.accept), e.null_payload = true, e.submitEvent = said_or_none(d, answer_to);
    e.sealed = r.sealed, e.attestation = r.attestation, e.previous = r.previous, e.createdAt = r.createdAt;
    const auto bound = remote_cid(to_record(e), accept, accept_repository);
    if (!bound) return bound.error();
    e.cid = bound->text();
    return alone(whole(e));
}

} // namespace souk
