#include <souk/runtime/control.hpp>

#include <souk/actors/policy/grammar.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>
#include <souk/runtime/pay.hpp>
#include <souk/runtime/statement.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto within = 20s;

http::response json(const value& v) { return http::json_response(200, to_json(v)); }
http::response no_role(const char* role) { return http::error_response(404, {"no_such_role", std::string("this node has no ") + role}); }

std::string text_of(const value& body, std::string_view key) { return std::string(body.text(key)); }
std::int64_t number_of(const value& body, std::string_view key, std::int64_t usual) {
    const auto* v = body.find(key);
    const auto* n = v ? v->as<std::int64_t>() : nullptr;
    return n ? *n : usual;
}
std::int64_t depth_of(std::string_view text) { return text.size() == 1 && text[0] >= '0' && text[0] <= '8' ? text[0] - '0' : 0; }
bool flag_of(const value& body, std::string_view key) {
    const auto* v = body.find(key);
    const auto* b = v ? v->as<bool>() : nullptr;
    return b && *b;
}

class control : public std::enable_shared_from_this<control> {
public:
    explicit control(control_parts parts) : p_(std::move(parts)) {}

    void answer(http::request r, http::responder say) {
        const auto is = [&](const char* method, const char* path) { return r.method == method && r.path == path; };
        if (r.method == "POST") {
            auto body = from_json(r.body.empty() ? "{}" : r.body);
            if (!body) return say(http::error_response(400, body.error()));
            if (is("POST", "/v1/buy")) return buy_it(*body, std::move(say));
            if (is("POST", "/v1/stop")) return stop_it(*body, std::move(say));
            if (is("POST", "/v1/pay")) return pay_for(*body, std::move(say));
            if (is("POST", "/v1/approve")) return pass<kept>(p_.requester, "requester", contract_order{text_of(*body, "id"), "approve", ""}, std::move(say));
            if (is("POST", "/v1/fund")) return fund(*body, std::move(say));
            if (is("POST", "/v1/allow")) return allow(*body, std::move(say));
            if (is("POST", "/v1/vouch")) return vouch_for(*body, std::move(say));
            if (is("POST", "/v1/drain")) return pass<host_view>(p_.fleet, "fleet", drain_host{text_of(*body, "host"), flag_of(*body, "on")}, std::move(say));
            if (is("POST", "/v1/revoke")) return pass<kept>(p_.broker, "tunnel broker", route_revocation{text_of(*body, "label"), text_of(*body, "why")}, std::move(say));
            if (answer_escrow(p_.escrow, r, *body, say)) return;
            if (is("POST", "/v1/shutdown")) return say(json(value::map{{"stopping", true}})), p_.stop();
        }
        const auto id = std::string(r.param("id"));
        if (is("GET", "/v1/status")) return say(json(status()));
        if (is("GET", "/v1/identity")) return say(json(identity()));
        if (is("GET", "/v1/contracts")) return contracts({id, r.param("ended") == "true"}, std::move(say));
        if (is("GET", "/v1/bids"))
            return pass<bids_view>(p_.requester, "requester", bids_query{id, policy::split_rules(r.param("rules"))}, std::move(say));
        if (is("GET", "/v1/access")) return pass<access_view>(p_.requester, "requester", access_query{id}, std::move(say));
        if (is("GET", "/v1/events")) return say(events(id));
        if (is("GET", "/v1/fleet")) return pass<fleet_view>(p_.fleet, "fleet", host_query{}, std::move(say));
        if (is("GET", "/v1/machines")) return p_.fleet ? pass<machine_list>(p_.fleet, "fleet", machine_query{id}, std::move(say))
                                                      : pass<machine_list>(p_.launcher, "launcher", machine_query{id}, std::move(say));
        if (is("GET", "/v1/console")) return p_.fleet ? pass<console_view>(p_.fleet, "fleet", console_query{std::string(r.param("tag"))}, std::move(say))
                                                     : pass<console_view>(p_.launcher, "launcher", console_query{std::string(r.param("tag"))}, std::move(say));
        if (is("GET", "/v1/routes")) return pass<route_list>(p_.broker, "tunnel broker", route_query{std::string(r.param("did"))}, std::move(say));
        if (is("GET", "/v1/trust")) return pass<trust_view>(p_.policy, "policy engine", trust_query{std::string(r.param("did")), depth_of(r.param("depth"))}, std::move(say));
        if (is("GET", "/v1/offerings")) return pass<offerings_view>(p_.offerings, "reader of offerings", offerings_query{"", std::string(r.param("after")), 1'000}, std::move(say));
        if (is("GET", "/v1/links")) return say(json(links()));
        if (is("GET", "/v1/resolve"))
            return p_.identities->show(std::string(r.param("did")), [say](result<shown_identity> d) {
                if (!d) return say(http::error_response(404, d.error()));
                auto shown = *to_json_document(d->document).as<value::map>();
                shown["asOf"] = to_datetime(d->as_of), shown["stale"] = d->stale;
                say(json(std::move(shown)));
            });
        if (is("GET", "/v1/who")) return who(std::string(r.param("name")), std::move(say));
        if (is("GET", "/v1/spending")) return say(json(spending_of(std::string(r.param("to")))));
        if (is("GET", "/v1/wallet")) return wallet(std::move(say));
        if (answer_escrow(p_.escrow, r, {}, say)) return;
        if (is("GET", "/v1/statement")) return statement(r, std::move(say));
        say(http::error_response(404, {"not_found", "no such question"}));
    }

private:
    // One question to one role, its answer as JSON.
    template <class Answer, class Role, class Question>
    void pass(const Role& role, const char* name, Question q, http::responder say) {
        if (!role) return say(no_role(name));
        ask<Answer>(*p_.sys, role, within, std::move(q), [say](result<Answer> a) {
            if (!a) return say(http::error_response(503, a.error()));
            if constexpr (requires { a->refused; }) {
                if (a->refused) return say(http::error_response(409, *a->refused));
            }
            say(json(to_value(*a)));
        });
    }

    void buy_it(const value& body, http::responder say) {
        const auto* request = body.find("request");
        if (!request) return say(http::error_response(400, {"missing_field", "request: a ccrfp record"}));
        buy b;
        b.id = text_of(body, "id"), b.request = encode_dag_cbor(*request), b.ceiling = number_of(body, "ceiling", 0), b.window_ms = number_of(body, "window_ms", 10'000);
        b.wanted_tier = text_of(body, "wanted_tier"), b.plan = flag_of(body, "plan");
        if (const auto* rules = body.find("rules"); rules && rules->as<value::list>())
            for (const auto& x : *rules->as<value::list>())
                if (const auto* s = x.as<std::string>()) b.rules.push_back(*s);
        pass<kept>(p_.requester, "requester", std::move(b), std::move(say));
    }
    void stop_it(const value& body, http::responder say) {
        const contract_order o{text_of(body, "id"), "stop", text_of(body, "reason")};
        if (p_.requester) pass<kept>(p_.requester, "requester", o, std::move(say));
        else pass<kept>(p_.bidder, "bidder or requester", o, std::move(say));
    }
    void pay_for(const value& body, http::responder say) {
        if (!p_.rail || !p_.keys || !p_.web) return say(no_role("wallet"));
        purse own{p_.web, *p_.rail, p_.keys->wallet(), p_.now, p_.books, {}};
        if (p_.spending) own.within_limits = [book = p_.spending, approved = flag_of(body, "approved")](const paid_for& p, instant until, std::function<void(result<void>)> then) {
            const auto above = book->limits().approve_above;
            if (above > 0 && p.value > above && !approved)
                return then(refusal{"approval_needed", to_decimal(p.value) + " is more than " + to_decimal(above) + ", which is spent without asking: say it with --yes"});
            if (!book->limits().any() || p.value <= 0) return then({});
            book->hold({"pay/" + p.nonce + '/' + std::to_string(p.value) + '/' + p.to, p.to, p.value, until}, std::move(then));
        };
        pay(own, {text_of(body, "url"), text_of(body, "id"), number_of(body, "most", 0)}, [say](result<paid_for> r) {
            if (!r) return say(http::error_response(409, r.error()));
            say(json(to_value(*r)));
        });
    }
    void vouch_for(const value& body, http::responder say) {
        if (!p_.own) return say(no_role("repository"));
        const auto did = text_of(body, "did"), kind = text_of(body, "kind");
        if (!is_did(did)) return say(http::error_response(400, {"bad_did", "whom? Expected a DID, found \"" + did + '"'}));
        vouch v;
        v.kind = kind.empty() ? "vouch" : kind;
        if (!text_of(body, "reason").empty()) v.reason = text_of(body, "reason");
        if (const auto weight = number_of(body, "weight", 0); weight != 0) {
            if (weight < 1 || weight > 100) return say(http::error_response(400, {"bad_weight", "a vouch weighs 1 to 100 percent"}));
            v.weight = weight;
        }
        if (const auto until = text_of(body, "expires"); !until.empty()) {
            const auto end = from_datetime(until);
            if (!end) return say(http::error_response(400, end.error()));
            v.expiresAt = to_datetime(*end);
        }
        v.createdAt = to_datetime(p_.now());
        if (!is_record_key(did)) return say(http::error_response(400, {"bad_did", did + " cannot be the key of a record, and a vouch is kept under the DID it is about"}));
        if (!p_.signer) return say(no_role("signer"));
        const auto uri = "at://" + p_.did + '/' + std::string(vouch::nsid) + '/' + did;
        const auto told = [self = shared_from_this(), uri, say](const refusal& why) {
            say(http::error_response(why.code == "request_timeout" ? 503 : 400, why.code == "request_timeout" ? refusal{"record_pending", "it is kept, and not published yet: " + uri} : why));
        };
        if (kind == "forget")
            return ask<kept>(*p_.sys, p_.signer, within, withdraw_record{std::string(vouch::nsid), did}, [self = shared_from_this(), uri, say, told](result<kept> k) {
                if (!k || k->refused) return told(k ? *k->refused : k.error());
                if (self->p_.policy) tell(self->p_.policy, record_note{uri, "", encode_dag_cbor(value(null_t{}))});
                say(json(value::map{{"uri", uri}, {"cid", ""}}));
            });
        sign_record s{std::string(vouch::nsid), did, encode_dag_cbor(to_record(v)), false, false};
        ask<signed_record>(*p_.sys, p_.signer, within, std::move(s), [self = shared_from_this(), uri, say, told](result<signed_record> r) {
            if (!r || r->refused) return told(r ? *r->refused : r.error());
            if (self->p_.policy) tell(self->p_.policy, record_note{r->uri, r->cid, r->record});
            say(json(value::map{{"uri", uri}, {"cid", r->cid}}));
        });
    }

    // A handle is shown as somebody's only where it leads back to him.
    void who(const std::string& name, http::responder say) {
        const auto tell = [say](const shown_identity& d, const std::string& handle, const std::string& why) {
            value::list signing, claims;
            for (const auto& key : d.document.signing) signing.emplace_back(key.did_key());
            for (const auto& one : d.document.handles) claims.emplace_back(one);
            say(json(value::map{{"did", d.document.did}, {"handle", handle}, {"claims", std::move(claims)}, {"why", why}, {"host", d.document.pds}, {"seal_key", d.document.seal_key},
                                {"signing", std::move(signing)}, {"asOf", to_datetime(d.as_of)}, {"stale", d.stale}}));
        };
        if (!name.starts_with("did:"))
            return p_.identities->resolve_handle(name, [say, tell, name, now = p_.now](result<did_document> d) {
                if (!d) return say(http::error_response(404, d.error()));
                tell({std::move(*d), now(), false}, name, "");
            });
        p_.identities->show(name, [say, tell, identities = p_.identities](result<shown_identity> d) {
            if (!d) return say(http::error_response(404, d.error()));
            if (d->document.handles.empty()) return tell(*d, "", "");
            const auto handle = d->document.handles.front();
            identities->show_handle(handle, [tell, d = *d, handle](const result<shown_identity>& back) mutable {
                const bool theirs = back && back->document.did == d.document.did;
                if (theirs && back->stale) d.stale = true, d.as_of = std::min(d.as_of, back->as_of);
                tell(d, theirs ? handle : "handle.invalid", theirs ? "" : handle + (back ? " is " + back->document.did : ": " + back.error().text));
            });
        });
    }

    void contracts(contract_query q, http::responder say) {
        if (!p_.requester && !p_.bidder) return say(no_role("requester or bidder"));
        if (!p_.bidder) return pass<contract_list>(p_.requester, "requester", std::move(q), std::move(say));
        if (!p_.requester) return pass<contract_list>(p_.bidder, "bidder", std::move(q), std::move(say));
        ask<contract_list>(*p_.sys, p_.requester, within, q, [self = shared_from_this(), q, say](result<contract_list> bought) {
            ask<contract_list>(*self->p_.sys, self->p_.bidder, within, q, [say, bought = std::move(bought)](result<contract_list> sold) mutable {
                contract_list all;
                if (bought) all = std::move(*bought);
                if (sold) all.all.insert(all.all.end(), sold->all.begin(), sold->all.end());
                say(json(to_value(all)));
            });
        });
    }

    // The past of whatever has this id: facts with their times, out of the journal.
    http::response events(const std::string& id) {
        for (const char* kind : {"purchase", "lease", "machine", "route", "payment"}) {
            std::vector<std::string> found;
            for (const auto& key : p_.log->newest(kind, 1000)) {
                if (key == id) found = {key};
                if (key == id) break;
                if (key.compare(0, id.size(), id) == 0) found.push_back(key);
            }
            if (found.empty()) continue;
            if (found.size() > 1) return http::error_response(409, {"ambiguous_id", id + " could be any of " + std::to_string(found.size()) + ' ' + kind + "s: give more of it"});
            value::list all;
            const auto past = p_.log->past(kind, found.front());
            if (past.snapshot_at > 0)
                all.push_back(value::map{{"at", to_datetime(past.snapshot_made)}, {"event", "compacted"},
                                         {"what", value::map{{"facts", static_cast<std::int64_t>(past.snapshot_at)}}}});
            for (const auto& f : past.facts) {
                auto v = decode_dag_cbor(f.bytes);
                value::map line;
                line["at"] = to_datetime(f.at);
                line["event"] = v ? std::string(v->text("is")) : "unreadable";
                if (v) {
                    if (auto* m = v->as<value::map>()) m->erase("is");
                    line["what"] = *v;
                }
                all.push_back(std::move(line));
            }
            return json(value::map{{"kind", kind}, {"id", found.front()}, {"events", std::move(all)}});
        }
        return http::error_response(404, {"unknown_id", "nothing here begins with \"" + id + '"'});
    }

    value identity() const {
        value::map m;
        m["name"] = p_.name, m["owner"] = p_.owner, m["did"] = p_.did, m["door"] = p_.public_url;
        if (p_.keys) {
            m["wallet"] = p_.keys->wallet_address(), m["signing_key"] = p_.keys->signing_public().did_key();
            m["seal_key"] = crypto::seal_did_key(p_.keys->seal().public32), m["ssh_key"] = p_.keys->ssh_public(), m["ssh_key_file"] = p_.keys->ssh_private().string();
        }
        if (p_.plc) m["log"] = p_.plc();
        return m;
    }
    value status() const {
        value::map m;
        m["identity"] = identity();
        value::list roles;
        for (const auto& r : p_.roles) roles.push_back(r);
        m["roles"] = std::move(roles);
        if (p_.status) m["now"] = p_.status();
        m["links"] = links();
        return m;
    }
    value links() const {
        value::list all;
        if (p_.peers)
            for (const auto& l : p_.peers->links()) {
                value::list roles;
                for (const auto& r : l.roles) roles.push_back(r);
                all.push_back(value::map{{"node", l.node}, {"owner", l.owner}, {"address", l.address}, {"state", l.state}, {"roles", std::move(roles)},
                                         {"since", to_datetime(l.since)}, {"why", l.why}});
            }
        return value::map{{"links", std::move(all)}};
    }
    value spending_of(const std::string& to) const {
        value::list limits;
        if (p_.spending)
            for (const auto& u : p_.spending->used(to)) limits.push_back(value::map{{"limit", u.limit}, {"most", u.most}, {"used", u.used}, {"left", u.left()}});
        value::map m{{"limits", std::move(limits)}};
        if (p_.spending && p_.spending->limits().approve_above > 0) m.emplace("approve_above", p_.spending->limits().approve_above);
        return m;
    }
    // Play money is issued by whoever may speak to the node that keeps its ledger: here, as its configuration's `funds` does.
    void fund(const value& body, http::responder say) {
        if (!p_.money.issue) return say(no_role("development ledger: play money is issued where it is kept"));
        const auto to = text_of(body, "to"), reason = text_of(body, "reason");
        const auto sum = number_of(body, "amount", 0);
        if (const auto given = p_.money.issue(to, sum, "souk wallet fund " + reason); !given) return say(http::error_response(given.error().code == "disk_full" ? 503 : 400, given.error()));
        say(json(value::map{{"to", to}, {"atomic", sum}, {"amount", to_decimal(sum)}, {"reason", reason}}));
    }
    void allow(const value& body, http::responder say) {
        if (!p_.money.allow) return say(no_role("chain to pay on"));
        const auto sum = number_of(body, "amount", -1);
        if (sum < 0) return say(http::error_response(400, {"bad_amount", "an amount is needed, and is not below zero"}));
        p_.money.allow(sum, [sum, say](result<value> said) {
            if (!said) return say(http::error_response(409, said.error()));
            said->as<value::map>()->emplace("amount", to_decimal(sum));
            say(json(std::move(*said)));
        });
    }
    // The rail is asked first: what moves while the books are read is in them, or is promised there.
    void statement(const http::request& r, http::responder say) {
        if (!p_.books || !p_.rail) return say(no_role("wallet"));
        auto q = read_statement_query(r);
        if (!q) return say(http::error_response(400, q.error()));
        const auto& o = p_.books->options();
        p_.rail->balance(o.wallet, [self = shared_from_this(), q = std::move(*q), say](const result<amount>& on_rail) {
            self->p_.books->read(q, [self, q, say, on_rail](result<book::page> p) {
                if (!p) return say(http::error_response(503, p.error()));
                say(json(statement_of(*p, q, self->p_.books->options(), self->p_.books->has_opened(), on_rail)));
            });
        });
    }
    void wallet(http::responder say) {
        if (!p_.rail || !p_.keys) return say(no_role("wallet"));
        const auto mine = p_.keys->wallet_address();
        bool encrypted = false;
        for (const auto& k : p_.keys->kept()) encrypted = encrypted || (k.file == "wallet.key" && k.encrypted);
        value::map about{{"address", mine}, {"network", p_.rail->network()}, {"asset", p_.rail->asset()}, {"token", p_.rail->token().name}, {"encrypted", encrypted}};
        if (!p_.money.ledger_at.empty()) about.emplace("ledger", p_.money.ledger_at);
        if (p_.money.gwei_for_one > 0) about.emplace("gwei_for_one", p_.money.gwei_for_one);
        p_.rail->balance(mine, [say, m = std::move(about), lanes = p_.lanes](result<amount> a) mutable {
            if (!a) return say(http::error_response(503, a.error()));
            m.emplace("balance", to_decimal(*a)), m.emplace("atomic", *a);
            if (!lanes) return say(json(std::move(m)));
            lanes([say, m](value keys) mutable {
                m.emplace("lanes", std::move(keys));
                say(json(std::move(m)));
            });
        });
    }

    control_parts p_;
};

} // namespace

http::handler make_control(control_parts parts) {
    auto all = std::make_shared<control>(std::move(parts));
    return {[all](http::request r, http::responder say) { all->answer(std::move(r), std::move(say)); }, {}};
}

} // namespace souk
