#include <souk/actors/bidder/bidder.hpp>

#include <deque>
#include <map>
#include <utility>

#include <souk/actors/bidder/paid_answers.hpp>
#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/common/taken_up.hpp>
#include <souk/actors/common/verified.hpp>
#include <souk/actors/payments/payment.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/ssh_key.hpp>

namespace souk {

struct lease_changed {
    std::string key;
    lease::state now;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::lease_changed)

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = lease::phase;
using namespace paid_url;

using own_interface = extended<bidder_actor, caf::result<void>(lease_changed), caf::result<void>(turn)>;

// One visitor of the paid URL, waiting for the lease to come to something that can be said.
struct visit {
    paid_request asked;
    caf::typed_response_promise<paid_answer> promise;
    instant until;
    bool paid = false; // its payment was taken, or is the one that was
    std::optional<channel_view> stands; // how the channel stands that it paid from
    std::optional<lease::acceptance> early; // names a bid that is only just being published
};

struct bidder_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.bidder";

    bidder_state(handle::pointer self, bidder_options options, bidder_roles roles, journal& log, record_network& net, performer<lease>& world)
        : self_(self), options_(std::move(options)), roles_(std::move(roles)), log_(log), net_(net) {
        const auto me = handle{self};
        footing<lease> on{&log, &world, options_.now, [me, books = options_.books](const std::string& key, const lease::state& s, const std::vector<lease::event>& events) {
            if (books) books->changed(key, s, events);
            tell(me, lease_changed{key, s});
        }, {}, options_.trouble};
        all_.emplace(self->home_system(), options_.shards, std::move(on));
    }

    handle::behavior_type make_behavior() {
        return {
            [this](const record_note& n) -> caf::result<void> {
                if (!n.brought_by) return seen(n, nullptr), caf::result<void>{};
                auto promise = self_->template make_response_promise<void>();
                seen(n, answer_when_dropped(promise, handle{self_}));
                return promise;
            },
            [this](const paid_request& r) -> caf::result<paid_answer> {
                auto promise = self_->template make_response_promise<paid_answer>();
                visit v{r, promise, options_.now() + options_.answer_within, false, {}, {}};
                if (const auto known = by_accept_.find(r.accept.cid); known != by_accept_.end()) go_on(known->second, std::move(v));
                else take_accept(std::move(v));
                return promise;
            },
            [this](const contract_query& q) -> caf::result<contract_list> {
                auto promise = self_->template make_response_promise<contract_list>();
                find(q, [promise](contract_list found) mutable { promise.deliver(std::move(found)); });
                return promise;
            },
            [this](const contract_order& o) -> caf::result<kept> {
                if (o.verb != "stop") return kept{0, refusal{"unknown_verb", "a lease can be stopped, nothing else"}};
                auto promise = self_->template make_response_promise<kept>();
                full_id(o.id, [this, promise, why = o.reason.empty() ? "ended by the operator" : o.reason](result<std::string> key) mutable {
                    if (!key) return promise.deliver(kept{0, key.error()}), void();
                    request(*self_, all_->shard(*key), 20s, order<lease>{*key, lease::stop{"", "", why}})
                        .then([promise](const answer& a) mutable { promise.deliver(kept{a.seq, a.refused}); }, [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
                });
                return promise;
            },
            [this](const lease_changed& c) { changed(c.key, c.now); },
            [](const turn& t) { t.run(); },
        };
    }

private:
    // Back into this actor, from any thread.
    template <class F>
    auto home(F f) {
        return [me = handle{self_}, f = std::move(f)](auto answer) mutable {
            tell(me, turn{[f, answer = std::move(answer)]() mutable { f(std::move(answer)); }});
        };
    }

    // -- what others publish ---------------------------------------------------------------------------------------------
    // Only the author's identity says whether a record is his; while that cannot be looked up, the note waits.
    void seen(const record_note& n, taken_up taken, unsigned looks = 0) {
        const auto uri = at_uri::parse(n.uri);
        if (!uri || uri->did == options_.did) return;
        const auto what = speech_of(uri->collection);
        if (what != speech::request && what != speech::accept && uri->collection != cce::nsid && uri->collection != market::event::nsid) return;
        const auto again = [this, n, taken, looks](const refusal& why) {
            if (!is_passing(why) || looks >= most_looks || waiting_notes_ >= most_waiting_notes) return;
            ++waiting_notes_;
            send_after(*self_, handle{self_}, look_again_in(looks), turn{[this, n, taken, looks] { --waiting_notes_, seen(n, taken, looks + 1); }});
        };
        verify_note(net_, n, home([this, again, taken, brought_by = n.brought_by](result<verified_record> r) {
            if (!r) return again(r.error());
            if (r->uri.collection == market::event::nsid && !lease_of(*r)) return; // nothing is fetched for others' contracts
            gather_parts(net_, std::move(*r), home([this, again, taken, brought_by](result<verified_record> whole) {
                if (!whole) return again(whole.error());
                judge(*whole, brought_by, taken);
            }));
        }));
    }
    void judge(const verified_record& r, const std::optional<std::string>& brought_by, const taken_up& taken) {
        if (is_said_in(r.uri.collection, speech::request)) consider(r, brought_by == r.uri.did, taken);
        else if (is_said_in(r.uri.collection, speech::accept)) accept(r, {});
        else if (r.uri.collection == cce::nsid) obey(r, taken);
        else obey_event(r);
    }

    // `sent`: its author called, and may read no stream of ours; where her generation names no service for bids, it is her identity's.
    void consider(const verified_record& r, bool sent, const taken_up& taken, unsigned looks = 0) {
        const auto asked = read_request(r.uri.collection, r.content, r.parts);
        if (!asked) return;
        auto terms = terms_for(options_, r.ref, r.uri.did, *asked);
        if (!terms) return; // not for us: an expired, malformed or outsized request is simply not bid on
        if (sent && terms->answer_to.empty()) terms->answer_to = r.uri.did + '#' + service::market_id;
        if (!roles_.policy) return submit(terms->key, lease::consider{*terms}, taken);
        policy_question q;
        q.perspective = "bidder", q.subject = r.uri.did, q.rfp_uri = r.ref.uri, q.rfp_cid = r.ref.cid, q.price = terms->for_slice, q.slice = terms->slice;
        q.wanted = terms->location, q.offered = options_.location, q.expires = terms->open_until, q.rules = options_.rules;
        request(*self_, roles_.policy, 15s, std::move(q)).then([this, r, sent, taken, looks, t = std::move(*terms)](const policy_verdict& v) {
            if (v.allowed) submit(t.key, lease::consider{t}, taken);
            else if (v.wait) consider_later(r, sent, taken, looks);
        }, [this, r, sent, taken, looks](const caf::error&) { consider_later(r, sent, taken, looks); });
    }

    // Who waits for it hears when it is durable, or refused.
    void submit(const std::string& key, lease::command what, const taken_up& taken) {
        if (!taken) return all_->submit(key, std::move(what));
        all_->submit(key, std::move(what), [taken](const result<answer>&) {});
    }

    // Whether that buyer may be served cannot be told now: neither a yes nor a no.
    void consider_later(const verified_record& r, bool sent, const taken_up& taken, unsigned looks) {
        if (looks >= most_looks || waiting_notes_ >= most_waiting_notes) return;
        ++waiting_notes_;
        send_after(*self_, handle{self_}, look_again_in(looks), turn{[this, r, sent, taken, looks] { --waiting_notes_, consider(r, sent, taken, looks + 1); }});
    }

    // `visiting`: who waits for this, if anyone.
    void accept(const verified_record& r, std::optional<visit> visiting) {
        const auto no = [&](std::uint32_t status, const refusal& why) {
            if (visiting) visiting->promise.deliver(answer_of(status, why));
        };
        const auto read = read_accept(r.uri.collection, r.content);
        if (!read) return no(400, read.error());
        const auto* a = &read->said;
        const auto bid = at_uri::parse(a->bid.record.uri);
        if (!bid) return no(400, bid.error());
        if (bid->did != options_.did && !visiting) return all_->submit(bid_key(a->embed_.record, options_.did), lease::outbid{r.uri.did, a->embed_.record});
        if (bid->did != options_.did || !is_said_in(bid->collection, speech::bid)) return no(404, {"not_our_bid", "the accept names a bid of somebody else"});
        if (!a->sshKey || !a->sealTo || !a->payer) return no(400, {"incomplete_accept", "an accept for this node needs sshKey, sealTo and payer"});
        const auto key = ssh_key_line::parse(*a->sshKey);
        if (!key) return no(400, key.error());
        if (const auto to = crypto::seal_key_of(*a->sealTo); !to) return no(400, to.error());
        if (const auto payer = crypto::checksummed(*a->payer); !payer) return no(400, payer.error());
        octets bound; // what a market.receipt has to bind is kept until it is written
        if (r.uri.collection == market::accept::nsid) bound = encode_dag_cbor(r.content);
        take(bid->rkey, {r.ref, r.uri.did, a->embed_.record, a->bid.record, key->text(), *a->sealTo, *a->payer, std::move(bound)}, std::move(visiting));
    }
    void take(const std::string& lease_key, lease::acceptance said, std::optional<visit> visiting) {
        request(*self_, all_->shard(lease_key), 20s, order<lease>{lease_key, lease::take{said}})
            .then([this, lease_key, said, visiting](const answer& x) mutable {
                    if (!visiting) return;
                    if (!x.refused) return go_on(lease_key, std::move(*visiting));
                    if (x.refused->code != "not_yet_offered") return visiting->promise.deliver(answer_of(x.refused->code == "not_now" ? 503 : 409, *x.refused)), void();
                    visiting->early = std::move(said);
                    wait(lease_key, std::move(*visiting));
                },
                [visiting](const caf::error&) mutable {
                    if (visiting) visiting->promise.deliver(answer_of(503, refusal{"not_now", "try again"}));
                });
    }

    // The paid URL was fetched before the accept came by the record stream: it names what it is for, so that is fetched and judged.
    void take_accept(visit v) {
        const auto ref = v.asked.accept;
        verify_reference(net_, ref, home([this, v = std::move(v)](result<verified_record> r) mutable {
            if (r && is_said_in(r->uri.collection, speech::accept)) return accept(*r, std::move(v));
            const auto why = r ? refusal{"wrong_type", "the paid URL names no accept"} : r.error();
            v.promise.deliver(answer_of(why.code == "record_unreachable" || why.code == "did_unresolved" ? 503 : 404, why));
        }));
    }

    void obey(const verified_record& r, const taken_up& taken) {
        const auto e = from_record<cce>(r.content);
        if (!e || e->kind != "stop") return;
        const auto known = by_accept_.find(e->accept.record.cid);
        if (known == by_accept_.end()) return;
        submit(known->second, lease::stop{r.uri.did, e->accept.record.cid, e->reason.value_or("stopped by the tenant")}, taken);
    }

    // The later generations' order: an event by the tenant whose payload is the machine's end.
    std::optional<std::string> lease_of(const verified_record& event) const {
        const auto e = from_value<market::event>(event.content, unknown_fields::ignore);
        const auto receipt = at_uri::parse(e ? e->receipt.record.uri : std::string());
        if (!receipt || receipt->did != options_.did || !is_said_in(receipt->collection, speech::receipt)) return std::nullopt;
        return receipt->rkey;
    }
    void obey_event(const verified_record& r) {
        const auto key = lease_of(r);
        const auto e = from_value<market::event>(r.content, unknown_fields::ignore);
        if (!key || !e || r.parts.empty() || cid_of(r.parts[0]).text() != e->payload.record.cid) return;
        const auto order = from_value<market::vm_delete>(r.parts[0], unknown_fields::ignore);
        if (!order) return; // news of a machine is for whoever has it
        request(*self_, all_->shard(*key), 20s, state_query<lease>{*key})
            .then([this, key = *key, by = r.uri.did, receipt = e->receipt.record, why = order->reason](const state_answer<lease>& s) {
                if (s.found && s.found->receipt == receipt) all_->submit(key, lease::stop{by, s.found->accept.ref.cid, why});
            }, [](const caf::error&) {});
    }

    // -- the paid URL ------------------------------------------------------------------------------------------------------
    void go_on(const std::string& key, visit v) {
        request(*self_, all_->shard(key), 5s, state_query<lease>{key})
            .then([this, key, v](const state_answer<lease>& s) mutable { say(key, s.found ? *s.found : all_->durable(key), std::move(v)); },
                  [v](const caf::error&) mutable { v.promise.deliver(answer_of(503, refusal{"not_now", "try again"})); });
    }

    void say(const std::string& key, const lease::state& s, visit v) {
        if (const auto why = misnamed(key, s, v)) return v.promise.deliver(answer_of(why->code == "bad_payment_identifier" ? 400 : 409, *why)), void();
        if (s.from && !s.transaction.empty() && !v.paid && v.asked.payment && is_paid_by_channel(*v.asked.payment)) return promise_more(key, s, std::move(v));
        switch (s.at) {
        case phase::taken: return v.paid ? unpaid(s, std::move(v), unpaid_because(s)) : pay_or_offer(key, s, std::move(v));
        case phase::collecting: return pay_or_wait(key, std::move(v));
        case phase::launching:
        case phase::receipting:
            if (v.asked.async && (v.asked.payment || v.asked.payment_v1)) return v.promise.deliver(pending(s, network())), void(); // it came to pay, and has
            return wait(key, std::move(v));
        case phase::active: return v.promise.deliver(delivered(s, network())), void();
        case phase::open:
            if (auto said = std::exchange(v.early, {})) return take(key, std::move(*said), std::move(v));
            return v.promise.deliver(answer_of(404, not_accepted)), void();
        case phase::ending:
        case phase::refunding:
        case phase::stating:
        case phase::closed:
            if (!s.receipt.cid.empty()) return v.promise.deliver(delivered(s, network())), void(); // it was delivered: that stays true
            return v.promise.deliver(over(s, network())), void();
        default: return v.promise.deliver(answer_of(404, not_accepted)), void();
        }
    }
    static inline const refusal not_accepted{"not_accepted", "no bid of this node was accepted by that record"};
    std::string network() const { return rail_ ? rail_->network : ""; }
    std::optional<x402::requirements> by_channel(const lease::state& s) const { return channels_ ? offer_from_channel(s, *channels_) : std::nullopt; }
    void unpaid(const lease::state& s, visit v, refusal why) {
        with_rail(std::move(v), [this, s, why](visit w) {
            auto streamed = options_.streams || s.from ? by_channel(s) : std::nullopt;
            if (streamed && w.stands) set_right(*streamed, *w.stands, withdrawal_delay(*streamed));
            w.promise.deliver(paid_url::unpaid(s, w.asked, *rail_, std::move(streamed), why));
        });
    }
    void pay_or_offer(const std::string& key, const lease::state& s, visit v) {
        if (!v.asked.payment && !v.asked.payment_v1) return unpaid(s, std::move(v), unpaid_because({}));
        with_rail(std::move(v), [this, key, s](visit w) {
            if (w.asked.payment && is_paid_by_channel(*w.asked.payment)) return pay_from_channel(key, s, std::move(w));
            const auto offered = offer(s, *rail_);
            auto p = read_payment(w.asked, offered);
            if (!p) return unpaid(s, std::move(w), p.error());
            const auto identifier = x402::identifier_of(*p);
            p->resource.reset(), p->extensions.reset(); // what is kept is what was signed, and what for
            const octets kept = encode_described(*p);
            // Judged before the lease knows of it: what cannot be paid with does not keep the one who can pay out.
            request(*self_, roles_.payments, 20s, judge_payment{kept, encode_described(offered)})
                .then(
                    [this, key, s, w, pay = lease::pay{kept, identifier ? *identifier : std::string()}](const payment_judged& j) mutable {
                        if (j.refused && j.refused->code == "rail_unknown") return w.promise.deliver(answer_of(503, refusal{"not_now", j.refused->text})), void();
                        if (j.refused && !may_have_moved(*j.refused)) return unpaid(s, std::move(w), *j.refused);
                        take_payment(key, s, std::move(w), std::move(pay));
                    },
                    [w](const caf::error&) mutable { w.promise.deliver(answer_of(503, refusal{"not_now", "the payment verifier cannot be reached"})); });
        });
    }
    // Used or expired, and rightly signed: somebody may have brought it to the rail before us, and then it is paid. The rail knows.
    static bool may_have_moved(const refusal& why) {
        return why.code == "invalid_exact_evm_nonce_already_used" || why.code == "invalid_exact_evm_payload_authorization_valid_before" || why.code == "permit2_invalid_nonce" ||
               why.code == "permit2_deadline_expired";
    }
    void take_payment(const std::string& key, const lease::state& s, visit v, lease::command what) {
        request(*self_, all_->shard(key), 20s, order<lease>{key, std::move(what)})
            .then(
                [this, key, s, v](const answer& a) mutable {
                    if (a.refused) return unpaid(s, std::move(v), *a.refused);
                    v.paid = true;
                    wait(key, std::move(v));
                },
                [v](const caf::error&) mutable { v.promise.deliver(answer_of(503, refusal{"not_now", "try again"})); });
    }
    // Settling. Who brought a payment waits for what comes of the one that was taken; who brought none is told that one was.
    void pay_or_wait(const std::string& key, visit v) {
        if (!v.asked.payment && !v.asked.payment_v1) return v.promise.deliver(answer_of(409, refusal{"payment_under_way", "this accept is being paid"})), void();
        v.paid = true;
        wait(key, std::move(v));
    }
    // An identifier stands for one payment: those two again are answered as they were, whatever else bears its name is refused.
    std::optional<refusal> misnamed(const std::string& key, const lease::state& s, const visit& v) const {
        if (!v.asked.payment || v.paid) return std::nullopt;
        const auto p = x402::from_header<x402::payment>(*v.asked.payment);
        if (!p) return std::nullopt; // whoever takes it says why not
        const auto identifier = x402::identifier_of(*p);
        if (!identifier) return identifier.error();
        const auto known = by_identifier_.find(*identifier);
        if (known == by_identifier_.end()) return std::nullopt;
        auto taken = s.payment_key;
        if (const auto under_way = decode_described<x402::payment>(s.payment.data)) taken = payment::key_of(under_way->payload.authorization);
        if (known->second == key && payment::key_of(p->payload.authorization) == taken) return std::nullopt;
        return refusal{"payment_identifier_conflict", "this identifier stands for another payment"};
    }
    void with_rail(visit v, std::function<void(visit)> then) {
        if (rail_) return with_channels(std::move(v), std::move(then));
        request(*self_, roles_.payments, 10s, rail_query{})
            .then([this, v, then](const rail_view& r) { rail_ = r, with_channels(v, then); },
                  [v](const caf::error&) mutable { v.promise.deliver(answer_of(503, refusal{"not_now", "the payment verifier cannot be reached"})); });
    }
    // A keeper of channels who cannot be asked now is one that nothing can be paid through now; the other way stays open.
    void with_channels(visit v, std::function<void(visit)> then) {
        if (channels_ || !roles_.channels) return then(std::move(v));
        request(*self_, roles_.channels, 5s, channel_offer_query{})
            .then([this, v, then](const channel_offer& o) { channels_ = o, then(v); }, [v, then](const caf::error&) { then(v); });
    }

    // -- from a channel ------------------------------------------------------------------------------------------------------
    // What a voucher adds to what was promised in its channel before; `then` has how that stands.
    void weigh(const std::string& key, const lease::state& s, visit v, promise_read p, std::function<void(visit, promise_read, std::int64_t)> then) {
        request(*self_, roles_.channels, 10s, channels_query{p.channel})
            .then(
                [this, key, s, v, p, then](const channels_view& found) mutable {
                    v.stands = found.all.empty() ? channel_view{} : found.all.front();
                    const auto& now = *v.stands;
                    const bool ours = now.serving == key;
                    if (!ours && !now.serving.empty()) return unpaid(s, std::move(v), {"invalid_batch_settlement_evm_channel_busy", "another request of this channel is being served"});
                    then(std::move(v), p, p.total - now.charged - (ours ? now.taken - now.metered : 0));
                },
                [v](const caf::error&) mutable { v.promise.deliver(answer_of(503, refusal{"not_now", "the keeper of channels cannot be reached"})); });
    }
    void pay_from_channel(const std::string& key, const lease::state& s, visit v) {
        const auto offered = options_.streams ? by_channel(s) : std::nullopt;
        if (!offered) return unpaid(s, std::move(v), {"no_channels", "this contract is not paid from a channel"});
        auto p = read_promise(*v.asked.payment, *offered, *channels_, options_.now());
        if (!p) return unpaid(s, std::move(v), p.error());
        weigh(key, s, std::move(v), std::move(*p), [this, key, s](visit w, promise_read said, std::int64_t adds) {
            // Anybody may sign vouchers of a channel that nobody filled: what cannot be paid with does not keep the one who can pay out.
            if (!said.deposits && (w.stands->phase != "open" || w.stands->balance < said.total)) return unpaid(s, std::move(w), {"invalid_batch_settlement_evm_channel_not_found", "the channel has less than that"});
            if (adds <= 0) return unpaid(s, std::move(w), {"invalid_batch_settlement_evm_cumulative_amount_mismatch", "a voucher is for what was charged and this request, to the unit"});
            take_payment(key, s, std::move(w), lease::pay_from{said.payload, said.channel, said.payer, adds});
        });
    }
    // A newer voucher for what runs. Its keeper has it first, and tells it again whenever something is metered: what a crash comes between is not lost.
    void promise_more(const std::string& key, const lease::state& s, visit v) {
        if (s.at != phase::launching && s.at != phase::receipting && s.at != phase::active) return v.promise.deliver(over(s, network())), void();
        with_rail(std::move(v), [this, key, s](visit w) {
            const auto offered = by_channel(s);
            auto p = offered ? read_promise(*w.asked.payment, *offered, *channels_, options_.now()) : result<promise_read>(refusal{"not_now", "the keeper of channels cannot be reached"});
            if (!p) return unpaid(s, std::move(w), p.error());
            if (p->channel != s.from->channel) return unpaid(s, std::move(w), {"wrong_channel", "this contract is paid from another channel"});
            weigh(key, s, std::move(w), std::move(*p), [this, key, s](visit x, promise_read said, std::int64_t adds) {
                const auto has = x.stands->serving == key ? x.stands->taken : 0;
                if (adds == 0) return raise(key, s, std::move(x), has); // said again
                // Each is journalled twice: none is for less than a step, but the last.
                if (adds < 0 || has > s.what.for_slice - adds || (adds < lease::least_promise(s.what) && has != s.what.for_slice - adds))
                    return unpaid(s, std::move(x), {"invalid_batch_settlement_evm_cumulative_amount_mismatch", "a voucher promises a step's price more than the one before, and no more than the contract's price"});
                request(*self_, roles_.channels, 20s, take_voucher{key, said.voucher, adds, s.what.slice + s.what.grace + 24 * 3600})
                    .then(
                        [this, key, s, x](const channel_said& c) mutable {
                            x.stands = c.now;
                            if (c.how == came::yes) return raise(key, s, std::move(x), c.now.serving == key ? c.now.taken : 0);
                            if (c.how == came::no) return unpaid(s, std::move(x), *c.refused);
                            x.promise.deliver(answer_of(503, refusal{"not_now", "it is not known whether the voucher was taken"}));
                        },
                        [x](const caf::error&) mutable { x.promise.deliver(answer_of(503, refusal{"not_now", "the keeper of channels cannot be reached"})); });
            });
        });
    }
    void raise(const std::string& key, const lease::state& s, visit v, amount promised_in_all) {
        request(*self_, all_->shard(key), 20s, order<lease>{key, lease::raise{s.from->channel, promised_in_all}})
            .then(
                [this, key, s, v, promised_in_all](const answer& a) mutable {
                    if (a.refused) return v.promise.deliver(answer_of(a.refused->code == "contract_over" ? 410 : a.refused->code == "not_now" ? 503 : 409, *a.refused)), void();
                    v.promise.deliver(promised(s, promised_in_all, *v.stands, by_channel(s), network()));
                },
                [v](const caf::error&) mutable { v.promise.deliver(answer_of(503, refusal{"not_now", "try again"})); });
    }

    void wait(const std::string& key, visit v) {
        const auto left = v.until - options_.now();
        if (left <= 0ms || waiting_.count(key) >= 64) return not_yet(key, std::move(v));
        const auto number = ++last_visit_;
        waiting_.emplace(key, std::pair{number, std::move(v)});
        send_after(*self_, handle{self_}, left, turn{[this, key, number] {
            const auto [from, to] = waiting_.equal_range(key);
            for (auto at = from; at != to; ++at)
                if (at->second.first == number) {
                    auto out_of_time = std::move(at->second.second);
                    waiting_.erase(at);
                    return not_yet(key, std::move(out_of_time));
                }
        }});
        // It may have changed between the question and the wait.
        request(*self_, all_->shard(key), 5s, state_query<lease>{key})
            .then([this, key](const state_answer<lease>& s) { tell_waiting(key, s.found ? *s.found : all_->durable(key)); }, [](const caf::error&) {});
    }
    void not_yet(const std::string& key, visit v) {
        if (v.early) return v.promise.deliver(answer_of(503, refusal{"not_yet_offered", "the bid is being published at this moment: ask again"})), void();
        request(*self_, all_->shard(key), 5s, state_query<lease>{key})
            .then([this, key, v](const state_answer<lease>& s) mutable { v.promise.deliver(pending(s.found ? *s.found : all_->durable(key), network())); },
                  [v](const caf::error&) mutable { v.promise.deliver(answer_of(503, refusal{"not_now", "try again"})); });
    }
    void changed(const std::string& key, const lease::state& s) {
        if (lease::accepted(s)) by_accept_[s.accept.ref.cid] = key;
        identify(key, s.identifier);
        if (lease::is_final(s)) forget_in_time(s);
        tell_waiting(key, s);
    }
    void identify(const std::string& key, const std::string& identifier) {
        const auto was = named_.find(key);
        if (was == named_.end() ? identifier.empty() : was->second == identifier) return;
        if (was != named_.end()) by_identifier_.erase(was->second), named_.erase(was);
        if (identifier.empty() || !by_identifier_.try_emplace(identifier, key).second) return;
        named_.emplace(key, identifier);
    }
    // Who asks for one that ended long ago waits for its accept to be fetched again.
    void forget_in_time(const lease::state& s) {
        if (!lease::accepted(s)) return;
        ended_.push_back(s.accept.ref.cid);
        if (ended_.size() <= most_ended) return;
        if (const auto oldest = by_accept_.find(ended_.front()); oldest != by_accept_.end()) identify(oldest->second, {}), by_accept_.erase(oldest);
        ended_.pop_front();
    }
    void tell_waiting(const std::string& key, const lease::state& s) {
        if (s.at == phase::collecting || s.at == phase::reserving || s.at == phase::bidding) return; // nothing to say yet
        const bool starting = s.at == phase::launching || s.at == phase::receipting;
        std::vector<visit> ready;
        const auto [from, to] = waiting_.equal_range(key);
        for (auto at = from; at != to;) {
            const auto& asked = at->second.second.asked;
            if (starting && !(asked.async && (asked.payment || asked.payment_v1))) {
                ++at;
                continue;
            }
            ready.push_back(std::move(at->second.second));
            at = waiting_.erase(at);
        }
        for (auto& v : ready) say(key, s, std::move(v));
    }

    // -- people's questions --------------------------------------------------------------------------------------------------
    static contract_view view(const std::string& key, const lease::state& s) {
        contract_view v;
        v.id = key, v.side = "lease", v.phase = boost::describe::enum_to_string(s.at, "?");
        v.counterparty = s.what.tenant;
        v.price = to_decimal(s.what.for_slice) + " for " + std::to_string(s.what.slice) + " s", v.currency = "USDC";
        v.size = std::to_string(s.what.cpus) + " cpu, " + std::to_string(s.what.mem_mib) + " MiB";
        v.machine = lease::tag_of(s.what), v.host = s.host, v.tier = s.machine.tier.empty() ? s.tier : s.machine.tier;
        v.rfp = s.what.rfp.uri, v.bid = s.bid.uri, v.accept = s.accept.ref.uri, v.receipt = s.receipt.uri, v.statement = s.statement.uri;
        v.why = s.why, v.since = s.started, v.ends = s.ends;
        auto shown = s;
        shown.payment = {}, shown.what.user_data = {}, shown.what.bid = {};
        v.detail = to_value(shown);
        return v;
    }
    // Those that begin with `id`; the ended ones come from the journal.
    void find(const contract_query& q, std::function<void(contract_list)> then) {
        all_->live(*self_, [this, q, then = std::move(then)](std::map<std::string, lease::state> found) {
            contract_list out;
            std::erase_if(found, [&](const auto& x) { return x.first.compare(0, q.id.size(), q.id) != 0; });
            if (q.ended || !q.id.empty())
                for (const auto& key : log_.newest(lease::kind, 1000))
                    if (key.compare(0, q.id.size(), q.id) == 0 && !found.count(key)) found.emplace(key, all_->durable(key));
            for (const auto& [key, s] : found) out.all.push_back(view(key, s));
            then(std::move(out));
        });
    }
    // The one lease whose key begins so.
    void full_id(const std::string& prefix, std::function<void(result<std::string>)> then) {
        find({prefix, true}, [prefix, then = std::move(then)](const contract_list& found) {
            if (found.all.empty()) return then(refusal{"unknown_lease", "no lease here begins with " + prefix});
            if (found.all.size() > 1) return then(refusal{"ambiguous_id", prefix + " could be any of " + std::to_string(found.all.size()) + " leases: give more of it"});
            then(found.all.front().id);
        });
    }

    handle::pointer self_;
    bidder_options options_;
    bidder_roles roles_;
    journal& log_;
    record_network& net_;
    std::optional<entities<lease>> all_;
    std::map<std::string, std::string> by_accept_; // CID of the accept -> key
    std::map<std::string, std::string> by_identifier_, named_; // of payments -> key, and back
    static constexpr std::size_t most_ended = 10'000;
    std::deque<std::string> ended_; // the accepts in `by_accept_` whose leases are over
    std::multimap<std::string, std::pair<std::uint64_t, visit>> waiting_;
    std::uint64_t last_visit_ = 0;
    static constexpr std::size_t most_waiting_notes = 1000;
    std::size_t waiting_notes_ = 0;
    std::optional<rail_view> rail_;
    std::optional<channel_offer> channels_;
};

} // namespace

bidder_actor spawn_bidder(caf::actor_system& sys, bidder_options options, bidder_roles roles, journal& log, record_network& net, performer<lease>& world) {
    return sys.spawn<actor_of<bidder_state>>(std::move(options), std::move(roles), std::ref(log), std::ref(net), std::ref(world));
}

} // namespace souk
