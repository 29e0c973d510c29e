#include <souk/runtime/bench/buyer.hpp>

#include <charconv>

#include <souk/messages/x402.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/samples.hpp>

namespace souk::bench {

std::string key_of(std::size_t number) { return "bench-" + std::to_string(number); }

std::optional<std::size_t> number_of(std::string_view key) {
    std::size_t n = 0;
    if (!key.starts_with("bench-")) return std::nullopt;
    const auto* end = key.data() + key.size();
    if (const auto read = std::from_chars(key.data() + 6, end, n); read.ec != std::errc() || read.ptr != end) return std::nullopt;
    return n;
}

namespace {

using namespace std::chrono_literals;

struct buyer_state {
    using handle = buyer_actor;
    static constexpr const char* name = "souk.bench.buyer";

    buyer_state(handle::pointer self, buyer_parts parts) : self_(self), p_(std::move(parts)), request_(sample_request()) {}

    handle::behavior_type make_behavior() {
        return {
            [this](const record_note& n) { bid_seen(n); },
            [this](const start_contract& s) { begin(s.number); },
        };
    }

private:
    struct deal {
        double since = 0;
        strong_ref accept;
        std::string url, machine, nonce;
    };

    void begin(std::size_t number) {
        open_[number].since = wall();
        auto r = request_;
        r.expiresAt = to_datetime(p_.now() + 10min);
        publish<ccrfp>(number, r, [](const signed_record&) {}); // its bid comes by the stream
    }
    void bid_seen(const record_note& n) {
        verify_note(*p_.network, n, [this](result<verified_record> r) {
            if (!r) return;
            const auto bid = from_record<ccb>(r->content);
            const auto rfp = bid ? at_uri::parse(bid->embed_.record.uri) : result<at_uri>(bid.error());
            const auto number = rfp ? number_of(rfp->rkey) : std::nullopt;
            if (!number || !open_.count(*number)) return;
            open_[*number].machine = "souk-" + r->uri.rkey + "-1";
            accept(*number, *bid, r->ref);
        });
    }
    void accept(std::size_t number, const ccb& bid, const strong_ref& ref) {
        ccba a;
        a.embed_ = bid.embed_, a.bid = {std::string(ccb::nsid), ref};
        a.sshKey = p_.keys->ssh_public(), a.sealTo = crypto::seal_did_key(p_.keys->seal().public32), a.payer = p_.keys->wallet_address();
        publish<ccba>(number, a, [this, number, base = bid.bid.x402.base_url](const signed_record& r) {
            auto& d = open_[number];
            d.accept = {r.uri, r.cid};
            d.url = base.substr(0, base.find('{')) + r.uri + '/' + r.cid;
            fetch(number, std::nullopt);
        });
    }
    // The paid URL, asked as the door would ask for her.
    void fetch(std::size_t number, std::optional<std::string> payment) {
        const auto& d = open_[number];
        request(*self_, p_.bidder, 30s, paid_request{d.accept, d.url, std::move(payment), {}})
            .then([this, number](const paid_answer& a) { answered(number, a); }, [this, number](const caf::error&) { over(number, refusal{"no_answer", "the bidder did not answer"}); });
    }
    void answered(std::size_t number, const paid_answer& a) {
        if (a.status == 402) return pay(number, a);
        const auto body = from_json(a.body);
        if (a.status != 200 || !body) return over(number, refusal{"http_" + std::to_string(a.status), a.body});
        verify_reference(*p_.network, {std::string(body->text("uri")), std::string(body->text("cid"))}, [this, number](result<verified_record> r) {
            if (!r) return over(number, r.error());
            const auto receipt = from_record<ccr>(r->content);
            if (!receipt || !receipt->sealed) return over(number, refusal{"bad_receipt", "it cannot be read"});
            const auto access = open_access(receipt->sealed->data, open_[number].accept.cid, p_.keys->seal().public32, p_.keys->seal().private32);
            over(number, access ? std::nullopt : std::optional(access.error()));
        });
    }
    void pay(std::size_t number, const paid_answer& a) {
        auto& d = open_[number];
        const auto header = a.head.find("payment-required");
        if (header == a.head.end() || !d.nonce.empty()) return over(number, refusal{"payment_refused", a.body});
        const auto need = x402::from_header<x402::payment_required>(header->second);
        const auto accept = cid::parse(d.accept.cid);
        if (!need || need->accepts.empty() || !accept) return over(number, refusal{"bad_demand", a.body});
        d.nonce = x402::nonce_for(*accept, 0);
        const auto payment = x402::authorise(*need, need->accepts.front(), p_.keys->wallet(), d.nonce, p_.now() + 5min);
        if (!payment) return over(number, payment.error());
        fetch(number, x402::to_header(*payment));
    }
    void over(std::size_t number, std::optional<refusal> failed) {
        const auto at = open_.find(number);
        if (at == open_.end()) return;
        sold s{number, wall() - at->second.since, std::move(at->second.machine), std::move(at->second.nonce), std::move(failed)};
        open_.erase(at);
        p_.done(std::move(s));
    }
    template <class Record, class Then>
    void publish(std::size_t number, const Record& record, Then then) {
        request(*self_, p_.signer, 30s, sign_record{std::string(Record::nsid), key_of(number), encode_described(record), true, false})
            .then([this, number, then](const signed_record& r) {
                    if (r.refused) over(number, *r.refused);
                    else then(r);
                },
                [this, number](const caf::error&) { over(number, refusal{"no_answer", "the signer did not answer"}); });
    }

    handle::pointer self_;
    buyer_parts p_;
    const ccrfp request_;
    std::map<std::size_t, deal> open_;
};

} // namespace

buyer_actor spawn_buyer(caf::actor_system& sys, buyer_parts parts) { return sys.spawn<actor_of<buyer_state>>(std::move(parts)); }

} // namespace souk::bench
