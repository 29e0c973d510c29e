#include <souk/actors/payments/channels.hpp>

#include <map>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/turn.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk {

struct channel_changed {
    std::string key;
    channel::state now;
    bool filled = false, not_filled = false, given_back = false; // just now
};
struct channel_overdue {
    std::string key;
    std::uint64_t waiter = 0;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::channel_changed)
SOUK_LOCAL_MESSAGE(souk::channel_overdue)

namespace souk {

namespace {

namespace ch = evm::channel;
using own_interface = extended<channels_actor, caf::result<void>(turn), caf::result<void>(channel_changed), caf::result<void>(channel_overdue)>;

// A decimal text of the token's units. More than fits is more than any channel here has.
std::int64_t units(const std::string& text) {
    const auto n = from_decimal(text, 0);
    return n ? *n : std::numeric_limits<std::int64_t>::max();
}
constexpr std::int64_t longest_served = 400 * 86'400; // seconds: of one request
refusal invalid(const char* what, const char* text) { return {std::string("invalid_batch_settlement_evm_") + what, text}; }
refusal refusal_of(const std::string& why) {
    const auto colon = why.find(": ");
    return colon == why.npos ? refusal{"rail_unknown", why} : refusal{why.substr(0, colon), why.substr(colon + 2)};
}

channel_view view_of(const std::string& key, const channel::state& s) {
    channel_view v;
    v.id = key, v.phase = boost::describe::enum_to_string(s.at, "?"), v.payer = s.what.config.payer;
    v.balance = s.chain.balance, v.claimed = s.chain.claimed, v.charged = s.charged, v.promised = s.promised, v.signature = s.newest.signature;
    if (s.serving) v.serving = s.serving->id, v.taken = s.serving->amount, v.metered = s.serving->used;
    v.last_id = s.last_id, v.last = s.last;
    v.refund_nonce = s.chain.refund_nonce, v.forfeited = s.forfeited, v.leaves = channel::leaves(s).value_or(instant{});
    return v;
}

struct channels_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.channels";

    channels_state(handle::pointer self, channels_options options, journal& log, channel_rail& rail, performer<channel>& world)
        : self_(self), options_(std::move(options)), place_(rail.channels()), offered_(offer_of(options_, rail)) {
        const auto me = handle{self};
        footing<channel> on{&log, &world, options_.now, [me](const std::string& key, const channel::state& s, const std::vector<channel::event>& events) {
            channel_changed c{key, s};
            for (const auto& e : events) {
                c.filled |= std::holds_alternative<channel::filled>(e);
                c.not_filled |= std::holds_alternative<channel::not_filled>(e);
                c.given_back |= std::holds_alternative<channel::given_back>(e);
            }
            tell(me, std::move(c));
        }, {}, {}};
        on.trouble = [this, me, report = options_.trouble](const std::string& key, const std::string& effect, verdict how, const std::string& why) {
            if (report) report(key, effect, how, why);
            if (how != verdict::failed || !effect.starts_with("fill/")) return;
            const foreign_thread here;
            tell(me, turn{[this, key, why] { settle(key, wait::fill, came::unknown, refusal_of(why)); }});
        };
        all_.emplace(self->home_system(), options_.shards, std::move(on));
    }

    handle::behavior_type make_behavior() {
        // What all have at risk is known before anything is taken.
        all_->live(*self_, [this](std::map<std::string, channel::state> found) {
            for (auto& [key, s] : found) learn(key, std::move(s));
            loaded_ = true;
        });
        return {
            [this](const fund_channel& q) -> caf::result<channel_said> { return fund(q); },
            [this](const take_voucher& q) -> caf::result<channel_said> { return take(q); },
            [this](const charge_channel& q) -> caf::result<channel_said> {
                const auto key = lower(q.channel);
                if (q.ends) return order_of(key, channel::charge{q.id, q.amount});
                return order_of(key, channel::meter{q.id, q.amount});
            },
            [this](const drop_voucher& q) -> caf::result<channel_said> { return order_of(lower(q.channel), channel::drop{q.id}); },
            [this](const close_channel& q) -> caf::result<channel_said> { return close(q); },
            [this](const channels_query& q) -> caf::result<channels_view> {
                channels_view v;
                for (auto at = known_.lower_bound(lower(q.id)); at != known_.end() && at->first.starts_with(lower(q.id)); ++at) v.all.push_back(view_of(at->first, at->second));
                v.at_risk = at_risk({}), v.most_at_risk = options_.most_in_all;
                return v;
            },
            [this](const channel_offer_query&) -> caf::result<channel_offer> { 
                return channel_offer{offered_.network, offered_.asset, offered_.payTo, *offered_.extra, static_cast<std::int64_t>(place_.chain), place_.contract, place_.collector,
                                     options_.most_unclaimed};
            },
            [](const turn& t) { t.run(); },
            [this](channel_changed& c) {
                const bool filled = c.filled, not_filled = c.not_filled, given_back = c.given_back;
                learn(c.key, std::move(c.now));
                if (filled) settle(c.key, wait::fill, came::yes, std::nullopt);
                if (not_filled) settle(c.key, wait::fill, came::no, invalid("deposit_transaction_failed", "it was not brought in while it was valid"));
                if (given_back) settle(c.key, wait::back, came::yes, std::nullopt);
            },
            [this](const channel_overdue& o) { settle(o.key, wait::any, came::unknown, std::nullopt, o.waiter); },
        };
    }

private:
    using promise = caf::typed_response_promise<channel_said>;
    enum class wait : std::uint8_t { fill, back, any };
    struct waiter {
        std::uint64_t number = 0;
        wait for_what = wait::any;
        promise to;
    };

    channel_said said(const std::string& key, came how, std::optional<refusal> why) const {
        const auto at = known_.find(key);
        return {how, at == known_.end() ? channel_view{} : view_of(key, at->second), std::move(why)};
    }
    channel_said no(const std::string& key, refusal why) const { return said(key, came::no, std::move(why)); }
    const channel::state* find(const std::string& key) const {
        const auto at = known_.find(key);
        return at == known_.end() ? nullptr : &at->second;
    }

    // -- orders -------------------------------------------------------------------------------------------------------------

    caf::result<channel_said> fund(const fund_channel& q) {
        const auto d = decode_described<ch::deposit_payload>(q.deposit.data);
        if (!d) return no({}, d.error());
        if (!loaded_) return no({}, {"not_now", "this node is starting"});
        const auto key = lower(d->voucher.channelId);
        const auto* has = find(key);
        // Brought again it is what it was the first time, however late.
        const bool under_way = has && has->in && has->in->what == d->deposit;
        if (has && !has->in && has->at == channel::phase::open && has->filled_by == d->deposit.authorization.erc3009Authorization.salt && has->what.config == d->channelConfig) return said(key, came::yes, std::nullopt);
        if (const auto good = ch::check_deposit(place_, *d, offered_, options_.now()); !good && !under_way) return no(key, good.error());
        if (!has && open_ >= static_cast<std::int64_t>(options_.most_channels)) return no(key, {"not_now", "this node has as many channels as it keeps"});
        channel::filling f{d->deposit, units(d->deposit.amount), {}};
        f.valid_before = instant{std::chrono::seconds{std::min<std::int64_t>(units(d->deposit.authorization.erc3009Authorization.validBefore), 253'402'300'799)}};
        return wait_for(key, wait::fill, channel::fund{{d->channelConfig, options_.most_unclaimed, options_.claim_at}, std::move(f)});
    }
    caf::result<channel_said> take(const take_voucher& q) {
        const auto v = decode_described<ch::voucher>(q.voucher.data);
        if (!v) return no({}, v.error());
        if (!loaded_) return no({}, {"not_now", "this node is starting"});
        const auto key = lower(v->channelId);
        const auto* s = find(key);
        if (!s) return no(key, invalid("channel_not_found", "there is no such channel here"));
        if (const auto good = ch::check_voucher(place_, s->what.config, *v); !good) return no(key, good.error());
        const bool again = s->newest == *v && (s->serving ? s->serving->id == q.id : s->last_id == q.id);
        if (!again && q.amount > 0) {
            const auto payer = lower(s->what.config.payer);
            const bool too_much = q.amount > options_.most_of_payer - at_risk(payer);
            if (too_much || q.amount > options_.most_in_all - at_risk({})) {
                claim_what_is_open(too_much ? payer : std::string());
                return no(key, invalid("too_much_unclaimed", too_much ? "what this payer promised before must be claimed first" : "what was promised before must be claimed first"));
            }
        }
        // Counted from now on: two that are under way do not share the same room.
        const auto mine = ++last_number_;
        if (!again && q.amount > 0) reserved_.emplace(mine, std::pair{lower(s->what.config.payer), q.amount});
        // What is open of it is in the way: it is claimed, and the payer asks again.
        const bool full = !again && q.amount > s->what.most_unclaimed - channel::at_risk(*s);
        if (full) claim_what_is_open(lower(s->what.config.payer));
        return order_of(key, channel::take{q.id, *v, units(v->maxClaimableAmount), q.amount, std::clamp<std::int64_t>(q.within, 0, longest_served)}, [this, mine] { reserved_.erase(mine); });
    }
    caf::result<channel_said> close(const close_channel& q) {
        const auto key = lower(q.channel);
        const auto* s = find(key);
        if (!s) return no(key, invalid("channel_not_found", "there is no such channel here"));
        if (!q.voucher.data.empty()) {
            const auto v = decode_described<ch::voucher>(q.voucher.data);
            if (!v) return no(key, v.error());
            if (const auto good = ch::check_voucher(place_, s->what.config, *v); !good) return no(key, good.error());
            if (units(v->maxClaimableAmount) != s->charged)
                return no(key, invalid("cumulative_amount_mismatch", "a refund is asked for with a voucher for what was charged, to the unit"));
        }
        // Nothing will go back, and what is left to claim is claimed.
        if (s->at == channel::phase::open && !s->serving && !s->in && s->chain.balance == s->charged && channel::unclaimed(*s) > 0) return order_of(key, channel::claim_now{});
        return wait_for(key, wait::back, channel::close{q.amount});
    }

    // Journalled, then answered.
    caf::result<channel_said> order_of(const std::string& key, channel::command what, std::function<void()> after = {}) {
        if (!find(key)) {
            if (after) after();
            return no(key, loaded_ ? invalid("channel_not_found", "there is no such channel here") : refusal{"not_now", "this node is starting"});
        }
        auto to = self_->template make_response_promise<channel_said>();
        request(*self_, all_->shard(key), options_.answer_within, order<channel>{key, std::move(what)})
            .then(
                [this, key, to, after](const answer& a) mutable { // what it changed is known here already: the shard said so first
                    if (after) after();
                    to.deliver(said(key, a.refused ? came::no : came::yes, a.refused));
                },
                [this, key, to, after](const caf::error&) mutable {
                    if (after) after();
                    to.deliver(said(key, came::unknown, std::nullopt));
                });
        return to;
    }
    // Journalled, then waited for until the rail has done it.
    caf::result<channel_said> wait_for(const std::string& key, wait for_what, channel::command what) {
        auto to = self_->template make_response_promise<channel_said>();
        const auto mine = ++last_number_;
        waiting_.emplace(key, waiter{mine, for_what, to});
        send_after(*self_, handle{self_}, options_.answer_within, channel_overdue{key, mine});
        request(*self_, all_->shard(key), options_.answer_within, order<channel>{key, std::move(what)})
            .then(
                [this, key, mine](const answer& a) {
                    if (a.refused) settle(key, wait::any, came::no, a.refused, mine);
                },
                [](const caf::error&) {}); // silence is `unknown`, by the timer
        return to;
    }
    void settle(const std::string& key, wait what, came how, const std::optional<refusal>& why, std::uint64_t number = 0) {
        const auto [from, to] = waiting_.equal_range(key);
        for (auto at = from; at != to;) {
            const bool meant = number ? at->second.number == number : at->second.for_what == what;
            if (meant) at->second.to.deliver(said(key, how, why));
            at = meant ? waiting_.erase(at) : std::next(at);
        }
    }

    // -- risk ---------------------------------------------------------------------------------------------------------------

    // Sums are kept, not drawn: there may be many channels, and there are more vouchers. No overflow: of each no more is at risk than its terms allow.
    void learn(const std::string& key, channel::state s) {
        auto& known = known_[key];
        count(known, -1);
        known = std::move(s);
        count(known, 1);
    }
    void count(const channel::state& s, amount sign) {
        if (s.what.config.payer.empty()) return;
        if (s.at != channel::phase::closed) open_ += sign > 0 ? 1 : -1;
        const auto payer = lower(s.what.config.payer);
        const auto at = risks_.try_emplace(payer, 0).first;
        const auto much = sign * std::max<amount>(channel::at_risk(s), 0);
        risks_[{}] += much, at->second += much;
        if (at->second == 0) risks_.erase(at);
    }
    amount at_risk(const std::string& payer) const { // of all, where nobody is named
        const auto at = risks_.find(payer);
        amount sum = at == risks_.end() ? 0 : at->second;
        for (const auto& [number, r] : reserved_) // those that are being journalled
            if (payer.empty() || r.first == payer) sum += r.second;
        return sum;
    }
    void claim_what_is_open(const std::string& payer) {
        for (const auto& [key, s] : known_)
            if (channel::unclaimed(s) > 0 && s.claiming <= s.chain.claimed && (payer.empty() || lower(s.what.config.payer) == payer))
                all_->submit(key, channel::claim_now{});
    }

    handle::pointer self_;
    const channels_options options_;
    const ch::place place_;
    const x402::requirements offered_;
    std::optional<entities<channel>> all_;
    bool loaded_ = false;
    std::map<std::string, channel::state> known_; // as the shards told
    std::map<std::string, amount> risks_; // by payers; "": of all
    std::map<std::uint64_t, std::pair<std::string, amount>> reserved_; // by payers, for vouchers that are being journalled
    std::multimap<std::string, waiter> waiting_;
    std::uint64_t last_number_ = 0;
    std::int64_t open_ = 0;
};

template <class Effect>
channel_rail::tell_books answering(const Effect& f, reply_to<Effect> tell) {
    return [f, tell = std::move(tell)](channel_answer a) {
        const auto why = a.why.code + ": " + a.why.text;
        switch (a.how) {
        case moved::yes: return tell({f, verdict::done, {a.books}, {}});
        case moved::no: return tell({f, verdict::failed, {}, why});
        default: return tell({f, verdict::unknown, {}, a.why.code.empty() ? "the rail does not know" : why});
        }
    };
}
template <class Effect>
std::optional<std::string> signed_by(const crypto::secret& key, const result<std::string>& digest, const Effect& f, const reply_to<Effect>& tell) {
    const auto signature = digest ? crypto::sign_digest(key, *digest) : digest;
    if (signature) return evm::to_hex_text(*signature);
    tell({f, verdict::failed, {}, signature.error().code + ": " + signature.error().text});
    return std::nullopt;
}

} // namespace

// -- the rail ----------------------------------------------------------------------------------------------------------------

void channel_world::perform(const channel::fill& f, reply_to<channel::fill> tell) { rail_.fill(f.what.config, f.deposit, answering(f, std::move(tell))); }
void channel_world::perform(const channel::look& f, reply_to<channel::look> tell) { rail_.look(f.what.config, answering(f, std::move(tell))); }
void channel_world::perform(const channel::claim& f, reply_to<channel::claim> tell) {
    const ch::claim c{{f.what.config, f.voucher.maxClaimableAmount}, f.voucher.signature, std::to_string(f.total)};
    if (const auto word = signed_by(authorizer_, ch::claims_digest(rail_.channels(), {c}), f, tell)) rail_.claim(c, *word, answering(f, std::move(tell)));
}
void channel_world::perform(const channel::give_back& f, reply_to<channel::give_back> tell) {
    const auto id = ch::id_of(rail_.channels(), f.what.config);
    const auto digest = id ? ch::refund_digest(rail_.channels(), evm::to_hex_text(*id), std::to_string(f.nonce), std::to_string(f.amount)) : id;
    if (const auto word = signed_by(authorizer_, digest, f, tell)) rail_.give_back(f.what.config, f.amount, f.nonce, *word, answering(f, std::move(tell)));
}

x402::requirements offer_of(const channels_options& o, const channel_rail& rail) {
    const auto token = rail.token();
    x402::requirements r;
    r.scheme = std::string(ch::scheme), r.network = rail.network(), r.asset = token.contract, r.payTo = o.pay_to, r.maxTimeoutSeconds = 300;
    r.extra = value(value::map{{"receiverAuthorizer", o.authorizer}, {"withdrawDelay", o.withdraw_delay}, {"name", token.name}, {"version", token.version},
                               {"minDeposit", std::to_string(o.least_deposit)}});
    return r;
}

channels_actor spawn_channels(caf::actor_system& sys, channels_options options, journal& log, channel_rail& rail, performer<channel>& world) {
    if (options.claim_at <= 0 || options.claim_at > options.most_unclaimed || options.most_unclaimed > options.most_of_payer || options.most_of_payer > options.most_in_all)
        throw std::invalid_argument("channels: what is claimed at, and the most that may be unclaimed of a channel, of a payer and in all, must grow in this order");
    if (options.withdraw_delay < ch::shortest_delay || options.withdraw_delay > ch::longest_delay) throw std::invalid_argument("channels: a delay is 15 minutes to 30 days");
    if (options.least_deposit <= 0) throw std::invalid_argument("channels: a deposit is above zero");
    return sys.spawn<actor_of<channels_state>>(std::move(options), std::ref(log), std::ref(rail), std::ref(world));
}

} // namespace souk
