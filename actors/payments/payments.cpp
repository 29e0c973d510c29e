#include <souk/actors/payments/payments.hpp>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/turn.hpp>
#include <souk/messages/bytes.hpp>

#include <algorithm>
#include <map>

namespace souk {

struct payment_changed {
    std::string key;
    payment::state now;
};
struct stop_waiting {
    std::string key;
    std::uint64_t waiter = 0;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::payment_changed)
SOUK_LOCAL_MESSAGE(souk::stop_waiting)

namespace souk {

namespace {

using namespace std::chrono_literals;

using own_interface = extended<payments_actor, caf::result<void>(turn), caf::result<void>(payment_changed), caf::result<void>(stop_waiting)>;

// What a caller may be told of a payment in this state; nothing while that is still open.
std::optional<money_moved> said_of(const std::string& key, const payment::state& s, bool about_refund) {
    using phase = payment::phase;
    if (about_refund) {
        if (s.at == phase::refunded) return money_moved{came::yes, key, s.back_transaction, {}};
        return std::nullopt;
    }
    switch (s.at) {
    case phase::confirmed:
    case phase::refunding:
    case phase::refunded:
    case phase::settled: return money_moved{came::yes, key, s.transaction, {}};
    case phase::failed: return money_moved{came::no, key, {}, s.why};
    // The rail said no, but the authorisation is still alive: it moved nothing yet, and until it is dead nobody may say that it never will.
    case phase::asking: return money_moved{came::unknown, key, {}, s.why};
    default: return std::nullopt;
    }
}

struct payments_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.payments";

    payments_state(handle::pointer self, payments_options options, journal& log, payment_rail& rail, performer<payment>& world)
        : self_(self), options_(std::move(options)), rail_(rail) {
        const auto me = handle{self};
        footing<payment> on{&log, &world, options_.now, [me, books = options_.books](const std::string& key, const payment::state& s, const std::vector<payment::event>& events) {
            if (books) books->changed(key, s, events);
            tell(me, payment_changed{key, s});
        }, {}, options_.trouble};
        all_.emplace(self->home_system(), options_.shards, std::move(on));
    }

    handle::behavior_type make_behavior() {
        return {
            [this](const collect& c) -> caf::result<money_moved> {
                auto p = decode_described<x402::payment>(c.payment.data);
                if (!p) return money_moved{came::no, {}, {}, p.error()};
                const auto& a = p->payload.authorization;
                std::int64_t value = 0, before = 0;
                if (!number(a.value, value) || !second(a.validBefore, before))
                    return money_moved{came::no, {}, {}, refusal{"bad_authorization", "its numbers are not numbers"}};
                if (p->accepted.network != rail_.network()) return money_moved{came::no, {}, {}, refusal{"invalid_network", "this node is paid on " + rail_.network()}};
                const instant until{std::chrono::seconds{before}};
                return wait_for(payment::key_of(a),
                                payment::pay{{p->payload, p->accepted.network, p->accepted.asset, c.accept, value, until, c.refundable_until}});
            },
            [this](const give_back& g) -> caf::result<money_moved> { return wait_for(g.key, payment::refund{g.amount, g.why}); },
            [this](const rail_query&) -> caf::result<rail_view> {
                const auto token = rail_.token();
                return rail_view{rail_.network(), rail_.asset(), options_.pay_to, token.name, token.version, rail_.signers()};
            },
            [this](const judge_payment& q) -> caf::result<payment_judged> {
                const auto p = decode_described<x402::payment>(q.payment.data);
                const auto offered = decode_described<x402::requirements>(q.offered.data);
                if (!p || !offered) return payment_judged{{}, p ? offered.error() : p.error()};
                auto promise = self_->template make_response_promise<payment_judged>();
                rail_.check(*p, *offered, options_.now(), [me = handle{self_}, promise](const result<crypto::address>& payer) {
                    const foreign_thread here;
                    auto said = payer ? payment_judged{*payer, std::nullopt} : payment_judged{{}, payer.error()};
                    tell(me, turn{[promise, said = std::move(said)]() mutable { promise.deliver(std::move(said)); }});
                });
                return promise;
            },
            [](const turn& t) { t.run(); },
            [this](const payment_changed& c) {
                const auto [from, to] = waiting_.equal_range(c.key);
                for (auto at = from; at != to;) {
                    // Who brought something else under the same nonce is answered by its refusal alone, however soon this one is told of.
                    const auto& meant = at->second.meant;
                    const bool other = meant && !payment::is_same(*meant, c.now.what);
                    if (auto said = other ? std::nullopt : said_of(c.key, c.now, !meant)) {
                        deliver(at->second, std::move(*said));
                        at = waiting_.erase(at);
                    } else {
                        ++at;
                    }
                }
            },
            [this](const stop_waiting& g) {
                const auto [from, to] = waiting_.equal_range(g.key);
                for (auto at = from; at != to; ++at)
                    if (at->second.number == g.waiter) {
                        deliver(at->second, {came::unknown, g.key, {}, {}});
                        waiting_.erase(at);
                        return;
                    }
            },
        };
    }

private:
    struct waiter {
        std::uint64_t number = 0;
        std::optional<payment::terms> meant; // what is to be paid; none: it is about the refund
        caf::typed_response_promise<money_moved> promise;
    };

    static bool number(const std::string& text, std::int64_t& into) {
        if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) return false;
        into = std::stoll(text);
        return true;
    }
    // Of what is not known yet, the transaction that is to bring it.
    void deliver(waiter& w, money_moved said) {
        if (said.how == came::unknown && w.meant) said.transaction = rail_.on_its_way(w.meant->authorised.authorization);
        w.promise.deliver(std::move(said));
    }
    // Some sign for ever, in as many digits as there are: that is until the year 9999.
    static bool second(const std::string& text, std::int64_t& into) {
        constexpr std::int64_t latest = 253'402'300'799;
        if (text.size() > 12 && text[0] != '0' && text.find_first_not_of("0123456789") == std::string::npos) return into = latest, true;
        if (!number(text, into)) return false;
        into = std::min(into, latest);
        return true;
    }
    // Orders, then waits for the entity to say what came of it. What it already said is asked for after the order is durable.
    caf::result<money_moved> wait_for(const std::string& key, payment::command what) {
        auto promise = self_->template make_response_promise<money_moved>();
        const auto mine = ++last_waiter_;
        const auto* paid = std::get_if<payment::pay>(&what);
        const bool about_refund = !paid;
        waiting_.emplace(key, waiter{mine, paid ? std::optional(paid->what) : std::nullopt, promise});
        send_after(*self_, handle{self_}, options_.answer_within, stop_waiting{key, mine});
        const auto drop = [this, key, mine](money_moved said) {
            const auto [from, to] = waiting_.equal_range(key);
            for (auto at = from; at != to; ++at)
                if (at->second.number == mine) {
                    deliver(at->second, std::move(said));
                    waiting_.erase(at);
                    return;
                }
        };
        request(*self_, all_->shard(key), options_.answer_within, order<payment>{key, std::move(what)})
            .then(
                [this, key, about_refund, drop](const answer& a) {
                    if (a.refused) return drop({came::no, key, {}, a.refused});
                    request(*self_, all_->shard(key), 5s, state_query<payment>{key})
                        .then(
                            [this, key, about_refund, drop](const state_answer<payment>& s) {
                                // not live: it has ended, and the journal knows how
                                const auto now = s.found ? *s.found : all_->durable(key);
                                if (auto said = said_of(key, now, about_refund)) drop(std::move(*said));
                            },
                            [](const caf::error&) {});
                },
                [](const caf::error&) {}); // silence is `unknown`, by the timer
        return promise;
    }

    handle::pointer self_;
    payments_options options_;
    payment_rail& rail_;
    std::optional<entities<payment>> all_;
    std::multimap<std::string, waiter> waiting_;
    std::uint64_t last_waiter_ = 0;
};

} // namespace

// -- the rail ----------------------------------------------------------------------------------------------------------------

void payment_world::perform(const payment::move& f, reply_to<payment::move> tell) {
    rail_.settle(f.what.authorised, [f, tell](settle_answer a) {
        switch (a.how) {
        case moved::yes: return tell({f, verdict::done, {a.transaction}, {}});
        case moved::no: return tell({f, verdict::failed, {}, a.why.code + ": " + a.why.text});
        default: return tell({f, verdict::unknown, {}, "the rail does not know"});
        }
    });
}

void payment_world::perform(const payment::look_up& f, reply_to<payment::look_up> tell) {
    rail_.look_up(f.what.authorised.authorization, [f, tell](look_up_answer x) {
        if (x.how == moved::unknown) return tell({f, verdict::unknown, {}, "the rail does not know"});
        tell({f, verdict::done, {x.how == moved::yes ? std::optional(x.transaction) : std::nullopt, x.as_of, x.spent}, {}});
    });
}

// A transfer of our own, its nonce derived from the payment's: signed twice it is the same bytes.
void payment_world::perform(const payment::give_back& f, reply_to<payment::give_back> tell) {
    const auto& paid = f.what.authorised.authorization;
    x402::authorization a;
    a.from = own_;
    a.to = paid.from;
    a.value = std::to_string(f.amount);
    a.validAfter = "0";
    a.validBefore = std::to_string(std::chrono::floor<std::chrono::seconds>(f.what.refundable_until + std::chrono::hours{24 * 365}).time_since_epoch().count());
    a.nonce = "0x" + to_hex(crypto::sha256("souk refund" + payment::key_of(paid)));
    const auto digest = x402::digest_of(rail_.token(), a);
    if (!digest) return tell({f, verdict::failed, {}, digest.error().text});
    const auto signature = crypto::sign_digest(wallet_, *digest);
    if (!signature) return tell({f, verdict::failed, {}, signature.error().text});
    rail_.settle({"0x" + to_hex(*signature), a}, [f, tell](settle_answer x) {
        switch (x.how) {
        case moved::yes: return tell({f, verdict::done, {x.transaction}, {}});
        case moved::no: return tell({f, verdict::failed, {}, x.why.code + ": " + x.why.text});
        default: return tell({f, verdict::unknown, {}, "the rail does not know"});
        }
    });
}

payments_actor spawn_payments(caf::actor_system& sys, payments_options options, journal& log, payment_rail& rail, performer<payment>& world) {
    return sys.spawn<actor_of<payments_state>>(std::move(options), std::ref(log), std::ref(rail), std::ref(world));
}

} // namespace souk
