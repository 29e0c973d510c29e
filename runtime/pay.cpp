#include <souk/runtime/pay.hpp>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr std::size_t largest = 1 << 20;
constexpr auto longest = 1h; // that an authorisation lives, whatever the seller asks for

struct payer : std::enable_shared_from_this<payer> {
    purse own;
    to_pay what;
    std::function<void(result<paid_for>)> told;
    paid_for so_far;
    x402::payment authorised;
    book::spending spent; // as it was entered, if it was
    bool entered = false;
    bool v1 = false, asked_again = false;

    payer(purse p, to_pay w, std::function<void(result<paid_for>)> t) : own(std::move(p)), what(std::move(w)), told(std::move(t)) {}

    void start() {
        fetch({}, [self = shared_from_this()](result<http::response> r) {
            if (!r) return self->tell(r.error());
            if (r->status != 402) return self->served(*r);
            self->demanded(*r);
        });
    }

private:
    // What is not known to have moved stays promised, until the rail has been asked.
    void tell(result<paid_for> r) {
        if (entered && so_far.paid) own.books->moved(spent, so_far.transaction);
        told(std::move(r));
    }
    void fetch(const std::string& header, std::function<void(result<http::response>)> then) {
        http::call c;
        c.url = what.url, c.within = 90s, c.largest_answer = largest; // the official facilitator is given as long
        if (!header.empty()) c.head.set(v1 ? "X-PAYMENT" : "PAYMENT-SIGNATURE", header);
        own.web(std::move(c), std::move(then));
    }
    void demanded(const http::response& r) {
        const auto in_header = r.head.get("payment-required");
        result<x402::payment_required> need = refusal{"no_way_to_pay", "the answer 402 does not say how it is paid"};
        if (!in_header.empty()) need = x402::from_header<x402::payment_required>(in_header);
        else if (const auto body = from_json(r.body)) need = x402::from_v1_body(*body), v1 = true;
        if (!need) return tell(need.error());
        const auto chosen = x402::choose(*need, own.rail.network(), own.rail.token(), what.most);
        if (!chosen) return tell(chosen.error());
        so_far.value = from_decimal(chosen->amount, 0).value(), so_far.to = chosen->payTo, so_far.network = chosen->network;
        so_far.nonce = evm::to_hex_text(crypto::sha256("souk pay" + what.url + '\0' + what.id));
        const auto until = own.now() + std::clamp<std::chrono::seconds>(std::chrono::seconds{chosen->maxTimeoutSeconds}, 10s, longest);
        const auto sign = [self = shared_from_this(), need = *need, chosen = *chosen, until](const result<void>& allowed) { self->sign(need, chosen, until, allowed); };
        if (own.within_limits) return own.within_limits(so_far, until, sign);
        sign({});
    }
    void sign(const x402::payment_required& need, const x402::requirements& chosen, instant until, const result<void>& allowed) {
        if (!allowed) return tell(allowed.error());
        auto p = x402::authorise(need, chosen, own.key, so_far.nonce, until);
        if (!p) return tell(p.error());
        authorised = std::move(*p);
        if (!own.books) return send();
        spent = {what.url, authorised.payload.authorization.from, so_far.to, so_far.nonce, so_far.network, chosen.asset, so_far.value, until};
        own.books->promise(spent, [self = shared_from_this()](const result<void>& kept) {
            if (!kept) return self->tell(refusal{kept.error().code, "it is not paid, since the books cannot be kept: " + kept.error().text});
            self->entered = true;
            self->send();
        });
    }
    void send() {
        fetch(v1 ? x402::to_v1_header(authorised) : x402::to_header(authorised), [self = shared_from_this()](result<http::response> r) {
            if (!r) return self->look({r.error().code, r.error().text});
            const auto said = x402::from_header<x402::settlement>(r->head.get(self->v1 ? "x-payment-response" : "payment-response"));
            if (said && said->success) self->so_far.paid = true, self->so_far.transaction = said->transaction;
            if (r->status != 402) {
                if (self->so_far.paid || r->status >= 400) return self->served(*r);
                return self->look({"payment_unknown", "it was served, and the seller does not say what became of the payment"}, *r);
            }
            const auto reason = said && said->errorReason ? *said->errorReason : std::string();
            // On its way: the same bytes are asked for again, never other ones.
            if (reason == "settlement_pending" && !self->asked_again) return self->asked_again = true, self->send();
            if (reason == "settlement_pending") return self->look({"payment_unknown", "the seller says that it is on its way"});
            self->tell(refusal{"payment_refused", reason.empty() ? "the seller still asks for payment" : reason + (said->errorMessage ? ": " + *said->errorMessage : std::string())});
        });
    }
    // No word from the seller: the rail knows whether it moved.
    void look(refusal why, std::optional<http::response> served_with = std::nullopt) {
        own.rail.look_up(authorised.payload.authorization, [self = shared_from_this(), why, served_with](look_up_answer a) {
            if (a.how == moved::yes) self->so_far.paid = true, self->so_far.transaction = a.transaction;
            if (served_with) return self->served(*served_with);
            if (a.how == moved::yes) return self->tell(refusal{"paid_unserved", why.text + "; it is paid, by " + a.transaction + ": ask again with --id " + self->what.id});
            self->tell(refusal{"payment_unknown", why.text + "; nothing has moved yet: ask again with --id " + self->what.id});
        });
    }
    void served(const http::response& r) {
        so_far.status = r.status, so_far.type = r.head.get("content-type"), so_far.body = to_utf8(r.body);
        tell(so_far);
    }
};

} // namespace

void pay(purse own, to_pay what, std::function<void(result<paid_for>)> tell) {
    std::make_shared<payer>(std::move(own), std::move(what), std::move(tell))->start();
}

} // namespace souk
