// Paying a contract while it runs, from a channel that is filled for it alone: its salt, and its deposit's, derive from the accept, so that whatever is
// signed again after a crash is what was signed before.
#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/payments/channel_words.hpp>
#include <souk/actors/requester/requester.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk {

namespace {

namespace ch = evm::channel;
using namespace std::chrono_literals;
enum : std::uint64_t { of_the_channel = 1, of_the_deposit = 2 }; // nonces of an accept; 0 is the authorisation's

struct streamed_extra { // of the requirements, beside what the scheme has
    std::int64_t stepSeconds = 0, graceSeconds = 0;
};
BOOST_DESCRIBE_STRUCT(streamed_extra, (), (stepSeconds, graceSeconds))

result<x402::requirements> accepted_of(const purchase_stream& by) {
    const auto v = decode_dag_cbor(by.accepted.data);
    if (!v) return v.error();
    return from_value<x402::requirements>(*v, unknown_fields::ignore);
}
template <class Payload>
result<std::string> header_of(const purchase_stream& by, const Payload& payload) {
    const auto accepted = accepted_of(by);
    if (!accepted) return accepted.error();
    return x402::to_header(channel_payment_header{2, *accepted, to_value(payload)});
}
result<ch::voucher> voucher_of(const ch::place& place, const purchase_stream& by, const crypto::secret& key) {
    return ch::sign_voucher(place, by.config, std::to_string(by.promised), key);
}
result<std::string> url_of(const octets& bid_record, const strong_ref& accept) {
    const auto v = decode_dag_cbor(bid_record.data);
    const auto bid = v ? from_record<ccb>(*v) : result<ccb>(v.error());
    if (!bid) return bid.error();
    return paid_url(*bid, accept);
}

} // namespace

std::optional<purchase_stream> purchase_world::stream_with(const purchase::pay& f, const x402::payment_required& need) const {
    const auto accept = cid::parse(f.accept.cid);
    if (!accept || !options_.channels) return std::nullopt;
    const auto& of = f.who.of;
    const auto signer = crypto::address_of(authorizer());
    if (!signer) return std::nullopt;
    for (auto r : need.accepts) {
        if (r.scheme != ch::scheme || r.network != options_.channels->network() || !crypto::same_address(r.asset, options_.channels->token().contract)) continue;
        const auto terms = ch::terms_of(r);
        const auto more = r.extra ? from_value<streamed_extra>(*r.extra, unknown_fields::ignore) : result<streamed_extra>(refusal{});
        if (!terms || !more || terms->withdrawDelay > options_.longest_withdrawal.count()) continue;
        if (terms->name != options_.channels->token().name || terms->version != options_.channels->token().version) continue;
        if (terms->minDeposit && (!from_decimal(*terms->minDeposit, 0) || *from_decimal(*terms->minDeposit, 0) > of.for_slice)) continue;
        // The bid is the price. A step's price is asked for by what it says, or this way is not taken.
        if (more->stepSeconds <= 0 || more->stepSeconds > of.slice || more->graceSeconds < 0 ||
            r.amount != std::to_string(price{of.for_slice, std::chrono::seconds{of.slice}}.of(std::chrono::seconds{more->stepSeconds})))
            continue;
        if (auto* extra = r.extra->as<value::map>()) extra->erase("channelState"), extra->erase("voucherState"); // of a channel that is not this one
        purchase_stream by;
        const auto payer = keys_.wallet_address();
        by.config = {payer, *signer, r.payTo, terms->receiverAuthorizer, r.asset, terms->withdrawDelay, x402::nonce_for(*accept, of_the_channel)};
        const auto id = ch::id_of(options_.channels->channels(), by.config);
        if (!id) continue;
        by.channel = evm::to_hex_text(*id), by.accepted = octets{encode_described(r)};
        by.step = more->stepSeconds, by.grace = more->graceSeconds, by.promised = purchase::first_promise(of, by.step);
        return by;
    }
    return std::nullopt;
}

void purchase_world::send_deposit(const purchase::pay& f, const std::string& url, paying tell) const {
    const auto failed = [&](const std::string& why) { tell({f, verdict::failed, {}, why}); };
    if (!options_.channels) return failed("this node has no channels any more");
    const auto accept = cid::parse(f.accept.cid);
    if (!accept) return failed(accept.error().text);
    const auto place = options_.channels->channels();
    ch::deposit_payload p;
    p.channelConfig = f.by->config;
    const auto voucher = voucher_of(place, *f.by, authorizer());
    if (!voucher) return failed(voucher.error().text);
    p.voucher = *voucher;
    const auto until = std::chrono::floor<std::chrono::seconds>(f.valid_before.time_since_epoch()).count();
    p.deposit.amount = std::to_string(f.for_slice); // the contract's price: more is never needed, and the rest comes back
    p.deposit.authorization.erc3009Authorization = {"0", std::to_string(until), x402::nonce_for(*accept, of_the_deposit), {}};
    if (const auto good = ch::sign_deposit(place, options_.channels->token(), f.by->config, p.deposit, keys_.wallet()); !good) return failed(good.error().text);
    const auto header = header_of(*f.by, p);
    if (!header) return failed(header.error().text);
    send_payment(f, url, *header, tell);
}

void purchase_world::look_into(const purchase::look_up& f, reply_to<purchase::look_up> tell) const {
    if (!options_.channels) return tell({f, verdict::unknown, {}, "this node has no channels any more"});
    options_.channels->look(f.by->config, [f, tell = std::move(tell)](channel_answer a) {
        const foreign_thread here;
        if (a.how != moved::yes) return tell({f, verdict::unknown, {}, a.why.text.empty() ? "the rail does not know" : a.why.text});
        const bool filled = a.books.balance > 0 || a.books.claimed > 0 || a.books.refund_nonce > 0;
        tell({f, verdict::done, {filled ? f.by->channel : "", a.books.as_of}, {}});
    });
}

void purchase_world::perform(const purchase::promise& f, reply_to<purchase::promise> tell) {
    const auto failed = [&](const std::string& why) { tell({f, verdict::failed, {}, why}); };
    if (!options_.channels) return failed("this node has no channels any more");
    const auto url = url_of(f.bid_record, f.accept);
    if (!url) return failed(url.error().text);
    const auto voucher = voucher_of(options_.channels->channels(), f.by, authorizer());
    if (!voucher) return failed(voucher.error().text);
    const auto header = header_of(f.by, ch::voucher_payload{"voucher", f.by.config, *voucher});
    if (!header) return failed(header.error().text);
    http::call c;
    c.url = *url, c.within = 25s, c.largest_answer = 256 * 1024;
    c.head.set("PAYMENT-SIGNATURE", *header);
    web_(std::move(c), [f, tell = std::move(tell)](result<http::response> r) {
        const foreign_thread here;
        if (!r) return tell({f, verdict::unknown, {}, r.error().text});
        const auto settled = x402::from_header<x402::settlement>(r->head.get("payment-response"));
        const auto body = from_json(r->body);
        const auto said = [&](std::string_view key, std::string otherwise) { return body && !body->text(key).empty() ? std::string(body->text(key)) : otherwise; };
        const auto http = "HTTP " + std::to_string(r->status);
        if (r->status == 200 && settled && settled->success) return tell({f, verdict::done, {}, {}});
        if (r->status == 404 || r->status == 410) return tell({f, verdict::done, {refusal{said("error", "refused"), said("message", http)}}, {}});
        if (r->status == 402) return tell({f, verdict::failed, {}, "the voucher was refused: " + (settled && settled->errorReason ? *settled->errorReason : http)});
        tell({f, verdict::unknown, {}, http + " " + said("message", "")});
    });
}

// The seller gives it back, by his own word or because he was asked to stop; who does not is not waited for.
void purchase_world::perform(const purchase::take_out& f, reply_to<purchase::take_out> tell) {
    if (!options_.channels) return tell({f, verdict::unknown, {}, "this node has no channels any more"});
    options_.channels->look(f.by.config, [this, f, tell = std::move(tell)](channel_answer a) {
        const foreign_thread here;
        const auto later = [&](const std::string& why) { tell({f, verdict::unknown, {}, why}); };
        if (a.how != moved::yes) return later(a.why.text.empty() ? "the rail does not know" : a.why.text);
        const auto& b = a.books;
        if (b.balance <= b.claimed) return tell({f, verdict::done, {b.balance > 0 || b.claimed > 0 || b.refund_nonce > 0, b.claimed, b.as_of}, {}});
        if (!f.leave) return later(to_decimal(b.balance - b.claimed) + " is still in the channel");
        const auto heard = [f, tell](channel_answer w) {
            const foreign_thread there;
            tell({f, verdict::unknown, {}, w.how == moved::yes ? "it is being withdrawn" : "the withdrawal: " + w.why.text}); // the next look tells
        };
        if (b.leaving_since == instant{}) return options_.channels->begin_withdrawal(f.by.config, b.balance - b.claimed, authorizer(), heard);
        if (b.as_of < b.leaving_since + std::chrono::seconds(f.by.config.withdrawDelay)) return later("it is being withdrawn: the channel's delay is not over");
        options_.channels->complete_withdrawal(f.by.config, authorizer(), heard);
    });
}

} // namespace souk
