#include <souk/runtime/pay.hpp>

#include <algorithm>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/permit2.hpp>
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
    std::optional<amount> on_rail; // what the rail says that moved
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
    // Nor is what came of a permit of at most so much, for that the seller alone says.
    void tell(result<paid_for> r) {
        const auto moved = at_most() ? on_rail : std::optional(spent.value);
        if (entered && so_far.paid && moved) own.books->moved(spent, so_far.transaction, *moved);
        told(std::move(r));
    }
    bool at_most() const { return authorised.payload.permit2Authorization && authorised.payload.permit2Authorization->witness.facilitator; }
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
        the_only_way(evm::permit2::is_asked_for(*chosen), [self = shared_from_this(), until, sign](const result<void>& only) {
            if (!only || !self->own.within_limits) return sign(only);
            self->own.within_limits(self->so_far, until, sign);
        });
    }
    // One id pays once, and a permit's nonces are others than an authorisation's: a seller who asked for the one before does not get the other as well.
    void the_only_way(bool by_permit, std::function<void(result<void>)> then) {
        if (!own.rail.network().starts_with("eip155:")) return then({});
        const auto address = crypto::address_of(own.key);
        if (!address) return then(address.error());
        x402::authorization other;
        other.from = *address, other.nonce = by_permit ? so_far.nonce : std::string(x402::permit_nonce) + so_far.nonce;
        const refusal paid{"paid_otherwise", std::string("under this id it is, or may be, paid by ") + (by_permit ? "an authorisation" : "a permit") + "; give another --id to pay anew"};
        const auto on_the_rail = [self = shared_from_this(), other, paid, then](const result<void>& books) {
            if (!books) return then(books);
            self->own.rail.look_up(other, [paid, then](const look_up_answer& a) {
                if (a.how == moved::unknown) return then(refusal{"rail_unknown", "whether this id is paid already cannot be told now: nothing was signed"});
                then(a.how == moved::yes || a.spent ? result<void>(paid) : result<void>());
            });
        };
        if (!own.books) return on_the_rail({});
        book::query open_ones;
        open_ones.sums = false, open_ones.most = 1;
        own.books->read(std::move(open_ones), [other, paid, on_the_rail](const result<book::page>& p) {
            if (!p) return on_the_rail(p.error());
            const auto subject = book::subject_of({{}, other.from, {}, other.nonce, {}, {}, 0, {}});
            const bool open = std::any_of(p->open.begin(), p->open.end(), [&](const book::outstanding& o) { return o.what.subject == subject; });
            on_the_rail(open ? result<void>(paid) : result<void>());
        });
    }
    void sign(const x402::payment_required& need, const x402::requirements& chosen, instant until, const result<void>& allowed) {
        if (!allowed) return tell(allowed.error());
        auto p = x402::authorise(need, chosen, own.key, so_far.nonce, until);
        if (!p) return tell(p.error());
        authorised = std::move(*p);
        if (!own.books) return send();
        spent = {what.url, authorised.payload.authorization.from, so_far.to, authorised.payload.authorization.nonce, so_far.network, chosen.asset, so_far.value, until};
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
            if (said && said->success && self->at_most()) self->came_to(said->amount);
            if (r->status == 412) return self->not_approved(said ? said->errorReason.value_or("") : "");
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
    // By the seller's own account, and never more than was permitted.
    void came_to(const std::optional<std::string>& said) {
        const auto much = said ? from_decimal(*said, 0) : result<amount>(refusal{});
        if (much && *much >= 0 && *much <= so_far.value) so_far.value = *much;
    }
    void not_approved(const std::string& reason) {
        if (!authorised.payload.permit2Authorization) return tell(refusal{"payment_refused", "the seller answers HTTP 412" + (reason.empty() ? "" : ": " + reason)});
        tell(refusal{"permit2_allowance_required", "the token is not approved to Permit2, or not for so much: souk wallet allow AMOUNT, once, then the same again with --id " + what.id});
    }
    // No word from the seller: the rail knows whether it moved.
    void look(refusal why, std::optional<http::response> served_with = std::nullopt) {
        auto a = authorised.payload.authorization;
        if (at_most()) a.value.clear(); // whatever came of it
        own.rail.look_up(a, [self = shared_from_this(), why, served_with](const look_up_answer& x) {
            if (x.how == moved::yes) self->so_far.paid = true, self->so_far.transaction = x.transaction, self->on_rail = x.value;
            if (self->on_rail) self->so_far.value = *self->on_rail;
            if (served_with) return self->served(*served_with);
            if (x.how == moved::yes) return self->tell(refusal{"paid_unserved", why.text + "; it is paid, by " + x.transaction + ": ask again with --id " + self->what.id});
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
