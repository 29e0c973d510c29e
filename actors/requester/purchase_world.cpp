#include <souk/actors/broker/credential.hpp>
#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/planted.hpp>
#include <souk/actors/common/publish.hpp>
#include <souk/actors/common/verified.hpp>
#include <souk/actors/requester/requester.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/permit2.hpp>
#include <souk/messages/rbac.hpp>
#include <souk/messages/x402.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto usual = 9s; // below the engine's own patience, so that the reason for an unknown is ours
// The accept's one kind of record that the machine may write with its workload token.
constexpr auto machine_keys = ssh_public_key::nsid;

template <class Effect>
std::function<void(result<signed_record>)> published(Effect f, reply_to<Effect> tell) {
    return [f = std::move(f), tell = std::move(tell)](result<signed_record> r) {
        outcome<Effect> o{f, verdict::unknown, {}, {}};
        if (!r) {
            o.why = r.error().text;
        } else if (r->refused) {
            const bool passing = r->refused->code == "disk_full" || r->refused->code == "record_unreachable" || r->refused->code == "not_now";
            o.said = passing ? verdict::unknown : verdict::failed, o.why = r->refused->text;
        } else {
            o.said = verdict::done;
            if constexpr (requires { o.found.ref; }) o.found.ref = {r->uri, r->cid};
        }
        tell(std::move(o));
    };
}
template <class Effect>
void publish(caf::actor_system& sys, const signer_actor& signer, sign_record what, Effect f, reply_to<Effect> tell) {
    ask<signed_record>(sys, signer, usual, std::move(what), published(std::move(f), std::move(tell)));
}
template <class Effect>
void publish(caf::actor_system& sys, const signer_actor& signer, const std::string& key, result<std::vector<draft>> drafts, Effect f, reply_to<Effect> tell) {
    if (!drafts) return tell({std::move(f), verdict::failed, {}, drafts.error().text});
    publish_drafts(sys, signer, key, std::move(*drafts), false, usual, published(std::move(f), std::move(tell)));
}
std::string service_of(dialect d, const std::string& door) { return d == dialect::g4 ? door : std::string(); }

result<ccb> bid_of(const std::string& record) {
    const auto v = decode_dag_cbor(record);
    if (!v) return v.error();
    return from_record<ccb>(*v);
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    if (const auto at = text.find(what); at != std::string::npos) text.replace(at, what.size(), with);
    return text;
}

} // namespace

result<purchase::offer> offer_of(const strong_ref& ref, const at_uri& uri, const value& record, const std::vector<value>& parts) {
    const auto read = read_bid(uri.collection, record, parts);
    if (!read) return read.error();
    const auto* b = &read->said;
    const auto price = price_of(b->bid);
    if (!price) return price.error();
    if (!b->expiresAt) return refusal{"bid_without_end", "a bid must say when it ends"};
    const auto end = from_datetime(*b->expiresAt);
    if (!end) return end.error();
    purchase::offer o;
    o.ref = ref, o.rfp = b->embed_.record, o.bidder = uri.did, o.record = encode_dag_cbor(read->by == dialect::g1 ? record : to_record(*b));
    o.by = read->by, o.answer_to = read->answer_to;
    o.for_slice = price->for_slice, o.slice = price->slice.count(), o.tier = b->attestation.value_or("none"), o.expires = *end;
    o.location = b->location;
    return o;
}

policy_question question_of(const strong_ref& rfp, const purchase::offer& of, const purchase::terms& what) {
    policy_question q;
    q.perspective = "requester", q.subject = of.bidder, q.rfp_uri = rfp.uri, q.rfp_cid = rfp.cid, q.bid_uri = of.ref.uri, q.bid_cid = of.ref.cid;
    q.price = of.for_slice, q.slice = of.slice, q.ceiling = what.ceiling, q.tier = of.tier, q.wanted_tier = what.wanted_tier;
    q.expires = of.expires, q.rules = what.rules, q.offered = of.location;
    if (const auto request = decode_dag_cbor(what.request.data); request) // the document in it may have been let go of
        if (const auto* at = request->find("location"); at)
            if (auto wanted = from_value<place>(*at, unknown_fields::ignore); wanted) q.wanted = std::move(*wanted);
    return q;
}

result<std::string> paid_url(const ccb& b, const strong_ref& accept) {
    const auto& base = b.bid.x402.base_url;
    const bool web = base.rfind("https://", 0) == 0 || base.rfind("http://", 0) == 0;
    if (!web || base.size() > 2048 || base.find("{at}") == std::string::npos || base.find("{cid}") == std::string::npos)
        return refusal{"bad_paid_url", "the bid's base_url must be a web address with {at} and {cid} in it"};
    return replaced(replaced(base, "{at}", accept.uri), "{cid}", accept.cid);
}

void purchase_world::perform(const purchase::publish_request& f, reply_to<purchase::publish_request> tell) {
    const auto v = decode_dag_cbor(f.request.data);
    const auto wanted = v ? from_record<ccrfp>(*v) : result<ccrfp>(v.error());
    if (!wanted) return tell({f, verdict::failed, {}, wanted.error().text});
    publish(sys_, roles_.signer, f.key, write_request(f.by, *wanted, service_of(f.by, options_.door)), f, std::move(tell));
}

void purchase_world::perform(const purchase::find_sellers& f, reply_to<purchase::find_sellers> tell) {
    if (!roles_.offerings) return tell({f, verdict::unknown, {}, "nobody here knows of offerings"});
    const auto payload = f.what.by == dialect::g1 ? ccrfp::nsid : f.what.by == dialect::g2 ? flat::ccrfp::nsid : market::vm::nsid;
    ask<sellers_view>(sys_, roles_.offerings, usual, sellers_query{std::string(payload), f.what.request, f.what.ceiling, f.what.wanted_tier}, [f, tell](result<sellers_view> v) {
        if (!v || v->all.empty()) return tell({f, verdict::unknown, {}, v ? "no offering fits, as far as is known" : v.error().text});
        tell({f, verdict::done, {std::move(v->all)}, {}});
    });
}

void purchase_world::perform(const purchase::tell_seller& f, reply_to<purchase::tell_seller> tell) {
    if (!options_.calls.key) return tell({f, verdict::failed, {}, "this node makes no calls"});
    service::call(options_.calls, f.to.service, service::submit_rfp, value::map{{"rfpUri", f.rfp.uri}, {"rfpCid", f.rfp.cid}}, [f, tell](result<http::response> r) {
        const foreign_thread here;
        tell({f, service::verdict_of(r), {}, r ? "HTTP " + std::to_string(r->status) : r.error().text});
    });
}

void purchase_world::perform(const purchase::judge& f, reply_to<purchase::judge> tell) {
    auto q = question_of(f.rfp, f.of, f.what);
    if (options_.past) q.history = options_.past->with(f.of.bidder);
    ask<policy_verdict>(sys_, roles_.policy, usual, std::move(q), [f, tell](result<policy_verdict> v) {
        if (!v) return tell({f, verdict::unknown, {}, "the policy could not be asked: " + v.error().text});
        if (v->wait) return tell({f, verdict::unknown, {}, "the policy cannot tell: " + v->reason});
        tell({f, verdict::done, {std::move(*v)}, {}});
    });
}

template <class Effect>
void purchase_world::if_still_allowed(const Effect& f, reply_to<Effect> tell, std::function<void()> go_on, std::function<void(policy_verdict)> denied) {
    if (planted(defect::verdict_ignored)) return go_on();
    perform(f.who, [f, tell = std::move(tell), go_on = std::move(go_on), denied = std::move(denied)](outcome<purchase::judge> o) {
        if (o.said != verdict::done) return tell({f, verdict::unknown, {}, o.why});
        if (o.found.verdict.allowed) return go_on();
        denied(std::move(o.found.verdict));
    });
}

void purchase_world::within_limits(const std::string& key, const std::string& to, amount sum, instant until, std::function<void()> go_on, std::function<void(refusal)> over,
                                   std::function<void(std::string)> later) {
    if (!options_.spending || !options_.spending->limits().any() || sum <= 0) return go_on();
    options_.spending->hold({key, to, sum, until}, [go_on = std::move(go_on), over = std::move(over), later = std::move(later)](const result<void>& r) {
        const foreign_thread here;
        if (r) return go_on();
        if (r.error().code == "spending_limit") return over(r.error());
        later(r.error().text);
    });
}

// The right to write one kind of record, for exactly the workload that the bid describes; and the relay's right to write it for us.
void purchase_world::perform(const purchase::grant& f, reply_to<purchase::grant> tell) {
    const auto over = [f, tell](refusal why) {
        outcome<purchase::grant> o{f, verdict::done, {}, {}};
        o.found.over_limit = std::move(why);
        tell(std::move(o));
    };
    // It has its room before anything binds; what is signed later has it then.
    within_limits(f.key, f.who.of.bidder, f.who.of.for_slice, options_.now(), [this, f, tell] {
        if_still_allowed<purchase::grant>(f, tell, [this, f, tell] { give_grant(f, tell); }, [this, f, tell](policy_verdict v) { take_back(f, std::move(v), tell); });
    }, over, [f, tell](const std::string& why) { tell({f, verdict::unknown, {}, why}); });
}

// What an attempt before this one may have granted goes first, so that he who fell from grace has nothing of it.
template <class Effect>
void purchase_world::take_back(const Effect& f, policy_verdict v, reply_to<Effect> tell) {
    ask<kept>(sys_, roles_.signer, usual, withdraw_record{std::string(rbac::nsid), f.key}, [f, v = std::move(v), tell = std::move(tell)](result<kept> k) mutable {
        if (!k || k->refused) return tell({f, verdict::unknown, {}, "the workload's grant could not be taken back yet"});
        outcome<Effect> o{f, verdict::done, {}, {}};
        o.found.denied = std::move(v);
        tell(std::move(o));
    });
}

void purchase_world::give_grant(const purchase::grant& f, reply_to<purchase::grant> tell) {
    const auto bid = bid_of(f.who.of.record);
    if (!bid) return tell({f, verdict::failed, {}, bid.error().text});
    if (!bid->wif || !bid->wif->issuer_uri || options_.relay.empty()) return tell({f, verdict::done, {}, {}}); // no workload identity on offer
    const auto request = decode_dag_cbor(f.who.what.request.data);
    if (!request) return tell({f, verdict::failed, {}, request.error().text});
    // {actx} is the provider's to fill in its own template; a template that leaves it open gives the workload no identity of ours.
    const auto subject = render_subject(bid->wif->subject.value_or(""), "", options_.did, request->text("role"));
    if (!subject) return tell({f, verdict::failed, {}, "the bid's workload subject cannot be granted: " + subject.error().text});
    workload_grant g;
    g.issuer = *bid->wif->issuer_uri, g.audience = "api://ATProto?actx=" + options_.did, g.subject = *subject;
    g.repository = options_.did, g.collection = std::string(machine_keys), g.name = f.key;
    const auto record = rbac_for(g, to_datetime(options_.now()));
    publish<purchase::grant>(sys_, roles_.signer, sign_record{std::string(rbac::nsid), f.key, encode_dag_cbor(to_record(record)), false, false}, f,
        [this, f, tell](outcome<purchase::grant> o) {
            if (o.said != verdict::done || !roles_.broker) return tell(std::move(o));
            const auto token = credential::sign_grant({options_.did, options_.relay, std::string(machine_keys), options_.now(), options_.grant_life, options_.writes_at}, keys_.signing());
            if (!token) return tell({f, verdict::failed, {}, token.error().text});
            ask<kept>(sys_, roles_.broker, usual, credential_grant{*token}, [f, tell](result<kept> k) {
                if (!k) return tell({f, verdict::unknown, {}, "the relay cannot be reached: " + k.error().text});
                if (!k->refused) return tell({f, verdict::done, {}, {}});
                const auto& code = k->refused->code;
                const bool passing = code == "did_unresolved" || code == "not_kept" || code == "not_now";
                tell({f, passing ? verdict::unknown : verdict::failed, {}, "the relay refused: " + k->refused->text});
            });
        });
}

void purchase_world::perform(const purchase::publish_accept& f, reply_to<purchase::publish_accept> tell) {
    if_still_allowed<purchase::publish_accept>(f, tell, [this, f, tell] { write_accept(f, tell); }, [this, f, tell](policy_verdict v) {
        // One that an attempt before this wrote is out: what follows from it is asked about once more, before anything is paid.
        net_.list(options_.did, std::string(collection_of(f.by, speech::accept)), [this, f, tell, v = std::move(v)](result<std::vector<stored_record>> all) {
            const foreign_thread here;
            if (!all) return tell({f, verdict::unknown, {}, all.error().text});
            for (const auto& x : *all)
                if (x.uri.rkey == f.key) return tell({f, verdict::done, {x.ref(), {}}, {}});
            take_back(f, v, tell);
        });
    });
}

void purchase_world::write_accept(const purchase::publish_accept& f, reply_to<purchase::publish_accept> tell) {
    ccba a;
    a.embed_ = {std::string(ccrfp::nsid), f.rfp};
    a.bid = {std::string(ccb::nsid), f.bid};
    a.sshKey = keys_.ssh_public();
    a.sealTo = crypto::seal_did_key(keys_.seal().public32);
    a.payer = keys_.wallet_address();
    publish<purchase::publish_accept>(sys_, roles_.signer, f.key, souk::write_accept(f.by, a, service_of(f.by, options_.door)), f, [this, f, tell = std::move(tell)](outcome<purchase::publish_accept> o) {
        if (o.said == verdict::done && !f.answer_to.empty() && options_.calls.key) // the paid URL names it, too: what comes of the call changes nothing
            service::call(options_.calls, f.answer_to, service::submit_accept, value::map{{"acceptUri", o.found.ref.uri}, {"acceptCid", o.found.ref.cid}},
                          [key = f.key, trouble = options_.trouble](result<http::response> r) {
                              if (trouble && !r) trouble(key, "submitAccept", verdict::unknown, r.error().text);
                          });
        tell(std::move(o));
    });
}

// -- paying ------------------------------------------------------------------------------------------------------------------

void purchase_world::perform(const purchase::pay& f, reply_to<purchase::pay> tell) {
    const auto bid = bid_of(f.who.of.record);
    const auto url = bid ? paid_url(*bid, f.accept) : result<std::string>(bid.error());
    if (!url) return tell({f, verdict::failed, {}, url.error().text});
    http::call c;
    c.url = *url, c.within = 45s, c.largest_answer = 256 * 1024;
    web_(std::move(c), [this, f, tell, url = *url](result<http::response> r) {
        const foreign_thread here;
        if (!r) return tell({f, verdict::unknown, {}, r.error().text});
        if (r->status == 402 && f.choose) {
            const auto need = x402::from_header<x402::payment_required>(r->head.get("payment-required"));
            if (!need) return tell({f, verdict::failed, {}, "the seller's demand cannot be read: " + need.error().text});
            outcome<purchase::pay> o{f, verdict::done, {}, {}};
            o.found.agreed = purchase::pay::agreement{stream_with(f, *need)};
            return tell(std::move(o));
        }
        if (r->status == 402 && !f.paid)
            return if_still_allowed<purchase::pay>(f, tell, [this, f, url, r = *r, tell] { pay_within_limits(f, url, r, tell); }, [f, tell](policy_verdict v) {
                outcome<purchase::pay> o{f, verdict::done, {}, {}};
                o.found.denied = std::move(v);
                tell(std::move(o));
            });
        read_answer(f, *r, tell);
    });
}

// It was counted before the accept; now until the authorisation's end, and what was accepted before there were limits is counted first.
void purchase_world::pay_within_limits(const purchase::pay& f, const std::string& url, const http::response& demand, paying tell) {
    const auto accept = at_uri::parse(f.accept.uri);
    within_limits(accept ? accept->rkey : f.accept.cid, f.who.of.bidder, f.for_slice, f.valid_before, [this, f, url, demand, tell] { send_payment(f, url, demand, tell); },
                  [f, tell](refusal why) {
                      outcome<purchase::pay> o{f, verdict::done, {}, {}};
                      o.found.over_limit = std::move(why);
                      tell(std::move(o));
                  },
                  [f, tell](const std::string& why) { tell({f, verdict::unknown, {}, why}); });
}

void purchase_world::send_payment(const purchase::pay& f, const std::string& url, const http::response& demand, paying tell) {
    if (f.by) return send_deposit(f, url, std::move(tell)); // on the terms that were agreed upon, whatever is demanded now
    const auto failed = [&](const std::string& why) { tell({f, verdict::failed, {}, why}); };
    const auto need = x402::from_header<x402::payment_required>(demand.head.get("payment-required"));
    if (!need) return failed("the seller's demand cannot be read: " + need.error().text);
    const x402::requirements* chosen = nullptr;
    for (const auto& r : need->accepts)
        if (r.scheme == "exact" && r.network == rail_.network() && r.asset == rail_.asset() && !evm::permit2::is_asked_for(r)) chosen = &r; // a contract has one nonce, the token's
    if (!chosen) return failed("the seller takes no payment that this wallet can make (" + rail_.network() + ")");
    // The bid is the price. A demand for anything else is not signed, whatever it says.
    if (chosen->amount != std::to_string(f.for_slice)) return failed("the seller demands " + chosen->amount + ", its bid says " + std::to_string(f.for_slice));
    const auto domain = x402::domain_of(*chosen);
    if (!domain || !(*domain == rail_.token())) return failed("the seller's demand names another token than this wallet's");
    const auto accept = cid::parse(f.accept.cid);
    if (!accept) return failed(accept.error().text);
    const auto attempt = planted(defect::nonce_not_derived) ? static_cast<std::uint64_t>(options_.now().time_since_epoch().count()) : 0;
    const auto nonce = x402::nonce_for(*accept, attempt);
    const auto payment = x402::authorise(*need, *chosen, keys_.wallet(), nonce, f.valid_before);
    if (!payment) return failed(payment.error().text);
    send_payment(f, url, x402::to_header(*payment), tell);
}

void purchase_world::send_payment(const purchase::pay& f, const std::string& url, const std::string& header, const paying& tell) const {
    http::call c;
    c.url = url, c.within = 45s, c.largest_answer = 256 * 1024;
    c.head.set("PAYMENT-SIGNATURE", header);
    c.head.set("Prefer", "respond-async"); // to know at once that it is paid; the receipt is waited for after that
    web_(std::move(c), [f, tell](result<http::response> r) {
        if (!r) return tell({f, verdict::unknown, {}, r.error().text}); // it may have been paid: asked again with the same bytes
        read_answer(f, *r, tell);
    });
}

void purchase_world::read_answer(const purchase::pay& f, const http::response& r, const paying& tell) {
    outcome<purchase::pay> o{f, verdict::unknown, {}, {}};
    const auto settled = x402::from_header<x402::settlement>(r.head.get("payment-response"));
    if (settled && settled->success) o.found.transaction = settled->transaction;
    const auto body = from_json(r.body);
    const auto said = [&](std::string_view key) { return body ? std::string(body->text(key)) : std::string(); };
    switch (r.status) {
    case 200:
        o.found.receipt = {said("uri"), said("cid")};
        if (at_uri::parse(o.found.receipt.uri) && cid::parse(o.found.receipt.cid)) o.said = verdict::done;
        else o.why = "the seller's answer names no receipt";
        break;
    case 202: o.said = o.found.transaction.empty() ? verdict::unknown : verdict::done; break; // starting; asked again
    case 402:
        o.said = verdict::failed;
        o.why = settled && settled->errorReason ? "payment refused: " + *settled->errorReason + (settled->errorMessage ? " (" + *settled->errorMessage + ")" : "")
                                               : "the seller still asks for payment";
        break;
    case 404:
    case 409:
    case 410:
        o.said = verdict::done;
        o.found.over = refusal{said("error").empty() ? "refused" : said("error"), said("message").empty() ? "HTTP " + std::to_string(r.status) : said("message")};
        if (o.found.over->code == "payment_under_way" || (r.status == 404 && o.found.over->code == "record_not_found")) o.said = verdict::unknown, o.found.over.reset();
        break;
    default: o.why = "HTTP " + std::to_string(r.status) + " " + said("message");
    }
    tell(std::move(o));
}

void purchase_world::perform(const purchase::look_up& f, reply_to<purchase::look_up> tell) {
    if (f.by) return look_into(f, std::move(tell));
    const auto accept = cid::parse(f.accept.cid);
    if (!accept) return tell({f, verdict::failed, {}, accept.error().text});
    x402::authorization ours; // to whom and how much: this wallet signs one transfer with a nonce
    ours.from = keys_.wallet_address(), ours.nonce = x402::nonce_for(*accept, 0);
    rail_.look_up(ours, [f, tell](look_up_answer a) {
        if (a.how == moved::unknown) return tell({f, verdict::unknown, {}, "the rail does not know"});
        tell({f, verdict::done, {a.how == moved::yes ? a.transaction : "", a.as_of}, {}});
    });
}

// -- receipt and statement ---------------------------------------------------------------------------------------------------

void purchase_world::perform(const purchase::fetch_receipt& f, reply_to<purchase::fetch_receipt> tell) {
    verify_reference(net_, f.receipt, [this, f, tell](result<verified_record> r) {
        outcome<purchase::fetch_receipt> o{f, verdict::done, {}, {}};
        const auto broken = [&](refusal why) { o.found.broken = std::move(why), tell(std::move(o)); };
        if (!r) {
            const auto& code = r.error().code;
            if (code == "record_unreachable" || code == "did_unresolved" || code == "record_not_found") return tell({f, verdict::unknown, {}, r.error().text});
            return broken(r.error());
        }
        if (r->uri.did != f.bidder) return broken({"not_the_seller", "it is by " + r->uri.did});
        const auto read = read_receipt(r->uri.collection, r->content);
        if (!read) return broken(read.error());
        const auto* receipt = &read->said;
        if (receipt->rfp.record != f.rfp || receipt->bid.record != f.bid || !receipt->accept || receipt->accept->record != f.accept)
            return broken({"receipt_of_another_contract", "it does not cover this request, bid and accept"});
        if (!receipt->sealed) return broken({"no_access", "it has no access details"});
        const auto access = open_access(receipt->sealed->data, f.accept.cid, keys_.seal().public32, keys_.seal().private32);
        if (!access) return broken(access.error());
        o.found.sealed = receipt->sealed->data, o.found.tier = receipt->attestation.value_or("none");
        if (r->uri.collection != market::receipt::nsid) return tell(std::move(o));
        // It says over which accept it is by more than a name: by what that accept said.
        net_.fetch(f.accept, [this, f, tell, o = std::move(o), content = r->content](result<stored_record> accept) mutable {
            if (!accept) return tell({f, verdict::unknown, {}, accept.error().text});
            const auto bound = remote_cid(content, accept->value, options_.did);
            if (!bound || bound->text() != content.text("cid")) o.found.broken = refusal{"receipt_not_bound", "its cid is not over this accept"};
            tell(std::move(o));
        });
    });
}

void purchase_world::perform(const purchase::publish_stop& f, reply_to<purchase::publish_stop> tell) {
    value::map e;
    value::map accept, ref;
    ref["uri"] = f.accept.uri, ref["cid"] = f.accept.cid;
    accept["$type"] = std::string(ccba::nsid), accept["record"] = std::move(ref);
    e["$type"] = std::string(cce::nsid), e["accept"] = std::move(accept), e["kind"] = "stop", e["reason"] = f.why;
    publish<purchase::publish_stop>(sys_, roles_.signer, sign_record{std::string(cce::nsid), f.key, encode_dag_cbor(value(std::move(e))), true, false}, f,
            [this, f, tell](outcome<purchase::publish_stop> o) {
                if (o.said == verdict::done) send_stop(f, o.found.ref);
                // The machine's right to write here ends with the contract.
                ask<kept>(sys_, roles_.signer, usual, withdraw_record{std::string(rbac::nsid), f.key}, [o, tell](result<kept> k) mutable {
                    if (!k || k->refused) o.said = verdict::unknown, o.why = "the workload's grant could not be taken back yet";
                    tell(std::move(o));
                });
            });
}

// This effect is asked for until the seller has stated what came of it, so what is lost is sent again, and there twice is once.
void purchase_world::send_stop(const purchase::publish_stop& f, const strong_ref& stop) {
    if (f.answer_to.empty() || !options_.calls.key) return;
    net_.fetch(stop, [this, f, stop](const result<stored_record>& r) {
        const foreign_thread here;
        if (!r) return;
        service::call(options_.calls, f.answer_to, service::submit_event, value::map{{"uri", stop.uri}, {"cid", stop.cid}, {"record", r->value}},
                      [key = f.key, trouble = options_.trouble](result<http::response> said) {
                          if (trouble && (!said || said->status >= 400)) trouble(key, "submitEvent", verdict::unknown, said ? "HTTP " + std::to_string(said->status) : said.error().text);
                      });
    });
}

void purchase_world::perform(const purchase::find_statement& f, reply_to<purchase::find_statement> tell) {
    net_.list(f.bidder, std::string(ccf::nsid), [this, f, tell](result<std::vector<stored_record>> all) {
        if (!all) return tell({f, verdict::unknown, {}, all.error().text});
        for (const auto& x : *all) {
            const auto s = from_record<ccf>(x.value);
            if (!s || s->accept.record != f.accept) continue;
            return verify_note(net_, {x.uri.text(), x.cid.text(), encode_dag_cbor(x.value)}, [f, tell, s = *s](result<verified_record> r) {
                if (!r) return tell({f, verdict::unknown, {}, r.error().text});
                const auto paid = from_decimal(s.paid, 0), refunded = from_decimal(s.refunded, 0);
                if (!paid || !refunded) return tell({f, verdict::unknown, {}, "the statement's sums cannot be read"});
                tell({f, verdict::done, {r->ref, *paid, *refunded, s.seconds, s.reason}, {}});
            });
        }
        tell({f, verdict::unknown, {}, "no statement yet"});
    });
}

} // namespace souk
