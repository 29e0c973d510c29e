#include <souk/actors/payments/channel_till.hpp>

#include <algorithm>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/random_id.hpp>
#include <souk/actors/payments/channel_words.hpp>

namespace souk {

namespace ch = evm::channel;

namespace {

using namespace std::chrono_literals;
constexpr auto patience = 60s;
constexpr std::string_view pre = "invalid_batch_settlement_evm_";

struct sale : std::enable_shared_from_this<sale> {
    caf::actor_system& sys;
    channels_actor keeper;
    till_request asked;
    std::function<void(till_word)> tell;
    till_word word;
    ch::terms terms;
    bool settling = false; // a deposit, a refund

    sale(caf::actor_system& s, channels_actor k, till_request q, std::function<void(till_word)> t) : sys(s), keeper(std::move(k)), asked(std::move(q)), tell(std::move(t)) {}

    void start() {
        ask<channel_offer>(sys, keeper, patience, channel_offer_query{}, [self = shared_from_this()](result<channel_offer> o) {
            if (!o) return self->no({"not_now", "this node's channels cannot be asked now"}, {}, 503);
            self->word.offered = requirements_of(*o, self->asked.price), self->word.price = self->asked.price;
            if (auto t = ch::terms_of(self->word.offered)) self->terms = std::move(*t);
            self->read();
        });
    }

private:
    void read() {
        if (asked.payment.empty()) return required("Payment required");
        const auto paid = x402::from_header<channel_paid>(asked.payment);
        if (!paid) return required("Payment required"); // as the official server takes what it cannot read
        if (!x402::matches(paid->accepted, word.offered)) return required("No matching payment requirements");
        auto payload = ch::payload_of(paid->payload);
        if (!payload) return no(payload.error(), {});
        if (auto* d = std::get_if<ch::deposit_payload>(&*payload)) return deposit(std::move(*d));
        if (auto* v = std::get_if<ch::voucher_payload>(&*payload)) return take(v->voucher);
        if (auto* r = std::get_if<ch::refund_payload>(&*payload)) return refund(std::move(*r));
        no({std::string(pre) + "payload_type", "that is said to facilitators"}, {});
    }
    // The voucher is judged first: a deposit that its request cannot be served from helps nobody.
    void deposit(ch::deposit_payload d) {
        settling = true;
        ask<channels_view>(sys, keeper, patience, channels_query{d.voucher.channelId}, [self = shared_from_this(), d](result<channels_view> v) {
            if (!v) return self->no({"not_now", "this node's channels cannot be asked now"}, {}, 503);
            const auto known = v->all.empty() ? channel_view{} : v->all.front();
            if (d.voucher.maxClaimableAmount != std::to_string(known.charged + self->asked.price))
                return self->no({std::string(pre) + "cumulative_amount_mismatch", "a voucher is for what was charged and this request, to the unit"}, known);
            ask<channel_said>(self->sys, self->keeper, patience, fund_channel{octets{encode_described(d)}}, [self, d](result<channel_said> s) {
                if (!s || (s->how == came::unknown && !s->refused)) return self->no({"settlement_pending", "the deposit is on its way"}, s ? s->now : channel_view{});
                if (s->how != came::yes) return self->no(*s->refused, s->now);
                if (const auto much = from_decimal(d.deposit.amount, 0)) self->word.deposited = *much;
                self->take(d.voucher);
            });
        });
    }
    // Every request has a name of its own: the same voucher again is for nothing more, and is told from where to go on.
    void take(const ch::voucher& v) {
        settling = false;
        word.id = random_id(), word.channel = v.channelId;
        ask<channel_said>(sys, keeper, patience, take_voucher{word.id, octets{encode_described(v)}, asked.price}, [self = shared_from_this()](result<channel_said> s) {
            if (!s || s->how == came::unknown) return self->no({"not_now", "it is not known whether the voucher was taken"}, {}, 503);
            if (s->how == came::no) return self->no(*s->refused, s->now);
            self->word.serve = true, self->word.status = 200;
            self->tell(std::move(self->word));
        });
    }
    void refund(ch::refund_payload r) {
        settling = true;
        close_channel c;
        c.channel = r.voucher.channelId, c.voucher = {encode_described(r.voucher)};
        if (r.amount) {
            const auto much = from_decimal(*r.amount, 0);
            if (!much || *much <= 0) return no({std::string(pre) + "refund_amount_invalid", "an amount is above zero"}, {});
            c.amount = *much;
        }
        ask<channels_view>(sys, keeper, patience, channels_query{c.channel}, [self = shared_from_this(), c](result<channels_view> before) {
            if (!before || before->all.empty()) return self->no({std::string(pre) + "channel_not_found", "there is no such channel here"}, {});
            ask<channel_said>(self->sys, self->keeper, patience, c, [self, had = before->all.front().balance](result<channel_said> s) {
                if (!s || s->how == came::unknown) return self->no({"settlement_pending", "the refund is on its way"}, s ? s->now : channel_view{});
                if (s->how == came::no) return self->no(*s->refused, s->now);
                channel_settled said{true, "", self->word.offered.network, s->now.payer, std::to_string(had - s->now.balance), {}, {}, {}};
                said.extra = value(value::map{{"channelState", to_value(state_of(s->now, self->terms.withdrawDelay))}});
                self->word.status = 200;
                self->word.head = {{"PAYMENT-RESPONSE", x402::to_header(said)}, {"Cache-Control", "private"}};
                self->tell(std::move(self->word));
            });
        });
    }

    void required(std::string error) {
        x402::payment_required need;
        need.error = std::move(error), need.resource.url = asked.url, need.resource.description = "", need.resource.mimeType = "";
        need.accepts = asked.beside;
        need.accepts.push_back(word.offered);
        word.head.insert(word.head.begin(), {{"PAYMENT-REQUIRED", x402::to_header(need)}, {"Cache-Control", "no-store"}});
        tell(std::move(word));
    }
    void no(refusal why, const channel_view& now, unsigned status = 402) {
        word.code = why.code, word.status = status;
        if (status != 402) return tell(std::move(word));
        // Of what was to be settled it is said that it was not; a client that reads this looks for no way to go on.
        if (settling && why.code != std::string(pre) + "cumulative_amount_mismatch")
            word.head = {{"PAYMENT-RESPONSE", x402::to_header(channel_settled{false, "", word.offered.network, {}, {}, why.code, why.text, {}})}};
        // What sets a payer right: the newest total, and his own signature under what he promised for it.
        set_right(word.offered, now, terms.withdrawDelay);
        required(why.code);
    }
};

} // namespace

void channel_till::ask(till_request q, std::function<void(till_word)> tell) const {
    const foreign_thread here;
    std::make_shared<sale>(sys_, keeper_, std::move(q), std::move(tell))->start();
}

void channel_till::served(const till_word& w, amount charged, std::function<void(till_word)> tell) const {
    const foreign_thread here;
    const auto much = std::clamp<amount>(charged, 0, w.price);
    souk::ask<channel_said>(sys_, keeper_, patience, charge_channel{w.channel, w.id, much, true}, [w, much, tell = std::move(tell)](result<channel_said> s) {
        auto said = w;
        if (!s || s->how != came::yes) {
            said.code = s && s->refused ? s->refused->code : "not_now", said.status = 503;
            return tell(std::move(said));
        }
        const auto terms = ch::terms_of(w.offered);
        channel_settled done{true, "", w.offered.network, s->now.payer, w.deposited ? std::to_string(w.deposited) : std::string(), {}, {}, {}};
        done.extra = value(value::map{{"chargedAmount", std::to_string(much)}, {"channelState", to_value(state_of(s->now, terms ? terms->withdrawDelay : 0))}});
        said.head = {{"PAYMENT-RESPONSE", x402::to_header(done)}, {"Cache-Control", "private"}};
        tell(std::move(said));
    });
}
void channel_till::dropped(const till_word& w) const { tell(keeper_, drop_voucher{w.channel, w.id}); }

} // namespace souk
