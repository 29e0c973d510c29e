// What a lease wants of the channel that it is paid from. A channel serves one contract at a time, under the contract's key.
#include <souk/actors/bidder/bidder.hpp>
#include <souk/messages/evm/channel.hpp>

namespace souk {

namespace {

namespace ch = evm::channel;
using namespace std::chrono_literals;
constexpr auto keeper_within = 9s, rail_within = 40s; // what is on its way to the rail is answered when it is there

bool passing(const refusal& why) { return why.code == "not_now" || why.code.ends_with("channel_busy"); }
bool nothing_left(const result<channel_said>& s) {
    return s && s->refused && (s->refused->code.ends_with("refund_no_balance") || s->refused->code.ends_with("channel_not_found"));
}
std::string why_of(const result<channel_said>& s) {
    if (!s) return s.error().text;
    return s->refused ? s->refused->code + ": " + s->refused->text : "it is not known what came of it";
}

} // namespace

void lease_world::perform(const lease::draw& f, reply_to<lease::draw> tell) {
    const auto v = decode_dag_cbor(f.first.data);
    const auto payload = v ? ch::payload_of(*v) : result<ch::payload>(v.error());
    if (!payload) return tell({f, verdict::done, {0, payload.error()}, {}});
    if (const auto* only = std::get_if<ch::voucher_payload>(&*payload)) return take(f, octets{encode_described(only->voucher)}, false, std::move(tell));
    const auto* with = std::get_if<ch::deposit_payload>(&*payload);
    if (!with) return tell({f, verdict::done, {0, refusal{"invalid_payload", "it is neither a deposit nor a voucher"}}, {}});
    ask<channel_said>(sys_, roles_.channels, rail_within, fund_channel{octets{encode_described(*with)}},
                      [this, f, tell = std::move(tell), voucher = octets{encode_described(with->voucher)}](result<channel_said> s) {
                          if (!s || s->how == came::unknown) return tell({f, verdict::unknown, {}, why_of(s)});
                          if (s->how == came::no && passing(*s->refused)) return tell({f, verdict::unknown, {}, why_of(s)});
                          if (s->how == came::no) return tell({f, verdict::done, {0, s->refused}, {}});
                          take(f, voucher, true, tell);
                      });
}

void lease_world::take(const lease::draw& f, const octets& voucher, bool filled, reply_to<lease::draw> tell) {
    ask<channel_said>(sys_, roles_.channels, keeper_within, take_voucher{f.key, voucher, f.amount, f.within}, [this, f, filled, tell = std::move(tell)](result<channel_said> s) {
        if (!s || s->how == came::unknown || (s->refused && s->refused->code == "not_now")) return tell({f, verdict::unknown, {}, why_of(s)});
        if (s->how == came::yes) return tell({f, verdict::done, {s->now.serving == f.key ? s->now.taken : f.amount, std::nullopt}, {}});
        if (!filled) return tell({f, verdict::done, {0, s->refused}, {}});
        // What was brought in for this goes back before its payer hears that it came to nothing.
        ask<channel_said>(sys_, roles_.channels, rail_within, close_channel{f.channel, 0, {}}, [f, tell, why = s->refused](result<channel_said> back) {
            if (!nothing_left(back) && (!back || back->how != came::yes)) return tell({f, verdict::unknown, {}, why_of(back)});
            tell({f, verdict::done, {0, why}, {}});
        });
    });
}

void lease_world::perform(const lease::meter& f, reply_to<lease::meter> tell) {
    ask<channel_said>(sys_, roles_.channels, keeper_within, charge_channel{f.channel, f.key, f.amount, false}, [f, tell = std::move(tell)](result<channel_said> s) {
        if (!s || s->how == came::unknown || (s->refused && s->refused->code == "not_now")) return tell({f, verdict::unknown, {}, why_of(s)});
        if (s->how == came::no) return tell({f, verdict::done, {0, s->refused}, {}});
        if (s->now.serving != f.key) return tell({f, verdict::done, {0, refusal{"not_taken", "it is not served from the channel any more"}}, {}});
        // What is promised from now on may be gone before it is claimed; what ran is being claimed.
        if (s->now.leaves != instant{}) return tell({f, verdict::done, {0, refusal{"channel_leaving", "its payer withdraws from the channel"}}, {}});
        tell({f, verdict::done, {s->now.taken, std::nullopt}, {}});
    });
}

void lease_world::perform(const lease::settle_up& f, reply_to<lease::settle_up> tell) {
    ask<channel_said>(sys_, roles_.channels, keeper_within, charge_channel{f.channel, f.key, f.amount, true}, [f, tell = std::move(tell)](result<channel_said> s) {
        if (!s || s->how == came::unknown) return tell({f, verdict::unknown, {}, why_of(s)});
        if (s->how == came::yes) return tell({f, verdict::done, {f.amount}, {}});
        // It was ended there before: by then it had been metered for so much. Or its keeper knows no such channel any more.
        const auto& code = s->refused->code;
        if (code != "not_taken" && code != "charge_conflict" && !code.ends_with("channel_not_found")) return tell({f, verdict::unknown, {}, why_of(s)});
        tell({f, verdict::done, {s->now.last_id == f.key ? s->now.last : 0}, {}});
    });
}

void lease_world::perform(const lease::return_rest& f, reply_to<lease::return_rest> tell) {
    ask<channel_said>(sys_, roles_.channels, rail_within, close_channel{f.channel, 0, {}}, [f, tell = std::move(tell)](result<channel_said> back) {
        if (!nothing_left(back) && (!back || back->how != came::yes)) return tell({f, verdict::unknown, {}, why_of(back)}); // owed until it is back
        // Of what a payer took before it was claimed nothing came in. In a channel of one contract that is plain to see.
        tell({f, verdict::done, {back->now.id.empty() ? f.charged : std::min(f.charged, back->now.charged)}, {}});
    });
}

} // namespace souk
