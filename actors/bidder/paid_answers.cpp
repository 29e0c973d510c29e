#include <souk/actors/bidder/paid_answers.hpp>

#include <souk/messages/ascii.hpp>

namespace souk::paid_url {

namespace {

void add_settlement(paid_answer& a, const lease::state& s, const std::string& network) {
    x402::settlement done;
    done.success = true, done.transaction = s.transaction, done.network = network, done.payer = s.accept.payer;
    a.head["payment-response"] = x402::to_header(done);
    if (const auto v1 = x402::v1_name(network)) done.network = *v1, a.head["x-payment-response"] = x402::to_header(done);
    a.head["cache-control"] = "private";
}

} // namespace

paid_answer answer_of(std::uint32_t status, const refusal& why) {
    value::map body;
    body["error"] = why.code, body["message"] = why.text;
    return answer_of(status, std::move(body));
}
paid_answer answer_of(std::uint32_t status, value::map body) { return {status, {{"content-type", "application/json"}}, to_json(std::move(body))}; }

paid_answer delivered(const lease::state& s, const std::string& network) {
    const auto uri = at_uri::parse(s.receipt.uri);
    value::map body;
    body["id"] = uri ? uri->rkey : "", body["uri"] = s.receipt.uri, body["cid"] = s.receipt.cid;
    auto a = answer_of(200, std::move(body));
    add_settlement(a, s, network);
    return a;
}

paid_answer over(const lease::state& s, const std::string& network) {
    value::map body;
    body["error"] = "contract_over", body["message"] = s.why;
    if (s.to_refund > 0 && !s.from) body["refund"] = s.refund_transaction.empty() ? "on its way" : s.refund_transaction;
    auto a = answer_of(410, std::move(body));
    if (!s.transaction.empty()) add_settlement(a, s, network);
    return a;
}

paid_answer pending(const lease::state& s, const std::string& network) {
    value::map body;
    body["status"] = "provisioning", body["message"] = "paid, or being settled; ask again for the receipt";
    auto a = answer_of(202, std::move(body));
    a.head["retry-after"] = "2";
    if (!s.transaction.empty()) {
        add_settlement(a, s, network);
    } else if (s.at == lease::phase::collecting) { // it may have moved already: never a 402, on which a correct payer would sign again
        x402::settlement doubted;
        doubted.network = network, doubted.payer = s.accept.payer;
        doubted.errorReason = "settlement_pending", doubted.errorMessage = "it is on its way; ask again with the same payment";
        a.head["payment-response"] = x402::to_header(doubted);
    }
    return a;
}

paid_answer promised(const lease::state& s, amount in_all, const channel_view& stands, const std::optional<x402::requirements>& streamed, const std::string& network) {
    value::map body;
    body["status"] = "promised", body["promised"] = to_decimal(in_all);
    auto a = answer_of(200, std::move(body));
    channel_settled done{true, s.from->channel, network, stands.payer, std::nullopt, std::nullopt, std::nullopt, std::nullopt};
    if (streamed) done.extra = value(value::map{{"channelState", to_value(state_of(stands, withdrawal_delay(*streamed)))}});
    a.head["payment-response"] = x402::to_header(done), a.head["cache-control"] = "private";
    return a;
}

refusal unpaid_because(const lease::state& s) {
    const auto colon = s.refused_payment.find(": ");
    if (colon == std::string::npos) return {"payment_required", "this accept has not been paid"};
    return {s.refused_payment.substr(0, colon), s.refused_payment.substr(colon + 2)};
}

paid_answer unpaid(const lease::state& s, const paid_request& asked, const rail_view& rail, std::optional<x402::requirements> streamed, const refusal& why) {
    x402::payment_required need;
    need.error = why.code == "payment_required" ? why.text : why.code;
    need.resource = {asked.resource, "Compute contract " + s.accept.ref.uri, "application/json"};
    need.accepts.push_back(offer(s, rail));
    if (streamed) need.accepts.push_back(std::move(*streamed));
    need.extensions = x402::identifier_offered();
    const std::uint32_t status = why.code == "permit2_allowance_required" ? 412 : 402; // it is not asked for anew: there is something to be done first
    paid_answer a{status, {{"content-type", "application/json"}, {"cache-control", "no-store"}}, to_json(x402::v1_body(need))};
    a.head["payment-required"] = x402::to_header(need);
    if (asked.payment || asked.payment_v1) {
        x402::settlement no;
        no.network = rail.network, no.errorReason = why.code, no.errorMessage = why.text;
        a.head["payment-response"] = x402::to_header(no);
    }
    return a;
}

// -- at once -----------------------------------------------------------------------------------------------------------------

x402::requirements offer(const lease::state& s, const rail_view& rail) {
    x402::requirements r;
    r.scheme = "exact", r.network = rail.network, r.amount = std::to_string(s.what.for_slice), r.asset = rail.asset, r.payTo = rail.pay_to;
    r.maxTimeoutSeconds = 300;
    value::map extra;
    extra["name"] = rail.token_name, extra["version"] = rail.token_version, extra["paymentFlow"] = "upfront";
    extra["expiresAt"] = to_datetime(s.pay_until); // of this price: the contract is over then, unless it is paid
    r.extra = value(std::move(extra));
    return r;
}

result<x402::payment> read_payment(const paid_request& r, const x402::requirements& offered) {
    auto p = r.payment ? x402::from_header<x402::payment>(*r.payment) : x402::from_v1_header(*r.payment_v1, offered);
    if (!p) return p;
    if (!x402::matches(p->accepted, offered)) return refusal{"invalid_payment_requirements", "No matching payment requirements"};
    // Nobody signs the resource; who names another one is paying for that.
    if (p->resource && p->resource->url != r.resource) return refusal{"payment_for_another_resource", "it pays for " + p->resource->url};
    return p;
}

// -- while it runs -----------------------------------------------------------------------------------------------------------

std::optional<x402::requirements> offer_from_channel(const lease::state& s, const channel_offer& o) {
    // A step that is charged, one that is promised and one that comes have to fit into what may be unclaimed.
    if (s.what.step == 0 || lease::least_promise(s.what) > o.most_unclaimed / 3) return std::nullopt;
    auto r = requirements_of(o, lease::least_promise(s.what));
    auto* extra = r.extra ? r.extra->as<value::map>() : nullptr;
    if (!extra) return std::nullopt;
    extra->insert_or_assign("stepSeconds", s.what.step), extra->insert_or_assign("graceSeconds", s.what.grace);
    extra->insert_or_assign("expiresAt", to_datetime(s.pay_until));
    return r;
}

result<promise_read> read_promise(const std::string& header, const x402::requirements& offered, const channel_offer& o, instant now) {
    namespace ch = evm::channel;
    const auto paid = x402::from_header<channel_paid>(header);
    if (!paid) return paid.error();
    if (!x402::matches(paid->accepted, offered)) return refusal{"invalid_payment_requirements", "No matching payment requirements"};
    const auto payload = ch::payload_of(paid->payload);
    if (!payload) return payload.error();
    const auto place = place_of(o);
    const auto of = [&](const ch::config& config, const ch::voucher& v, bool deposits) -> result<promise_read> {
        if (const auto good = ch::check_config(place, config, v.channelId, offered); !good) return good.error();
        if (const auto good = ch::check_voucher(place, config, v); !good) return good.error();
        const auto total = from_decimal(v.maxClaimableAmount, 0);
        if (!total) return total.error();
        return promise_read{lower(v.channelId), config.payer, octets{encode_dag_cbor(paid->payload)}, octets{encode_described(v)}, *total, deposits};
    };
    if (const auto* v = std::get_if<ch::voucher_payload>(&*payload)) return of(v->channelConfig, v->voucher, false);
    const auto* d = std::get_if<ch::deposit_payload>(&*payload);
    if (!d) return refusal{"invalid_batch_settlement_evm_payload_type", "a contract is paid by a deposit or a voucher"};
    if (const auto good = ch::check_deposit(place, *d, offered, now); !good) return good.error();
    return of(d->channelConfig, d->voucher, true);
}

std::int64_t withdrawal_delay(const x402::requirements& offered) {
    const auto terms = evm::channel::terms_of(offered);
    return terms ? terms->withdrawDelay : 0;
}

} // namespace souk::paid_url
