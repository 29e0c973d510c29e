#include <souk/actors/bidder/bidder.hpp>
#include <souk/backends/compute/backend.hpp>
#include <souk/messages/rbac.hpp>

namespace souk {

std::string bid_key(const strong_ref& rfp, const std::string& bidder) {
    const auto digest = crypto::sha256("souk bid\n" + rfp.uri + '\n' + rfp.cid + '\n' + bidder);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i) bits = bits << 8 | static_cast<unsigned char>(digest[i]);
    return to_tid(bits >> 11, static_cast<unsigned>(bits & 0x3ff));
}

result<lease::terms> terms_for(const bidder_options& o, const strong_ref& rfp, const std::string& author, const spoken<ccrfp>& request) {
    const auto* want = &request.said;
    const auto now = o.now();
    lease::terms t;
    t.open_until = now + o.bid_life;
    if (want->expiresAt) {
        const auto end = from_datetime(*want->expiresAt);
        if (!end) return end.error();
        if (*end <= now) return refusal{"rfp_expired", "the request is over"};
        t.open_until = std::min<instant>(t.open_until, *end);
    }
    if (want->user_data.size() > o.largest_user_data)
        return refusal{"user_data_too_large", "user_data is " + std::to_string(want->user_data.size()) + " bytes; machines here take " + std::to_string(o.largest_user_data)};
    const auto mem = compute::to_mib(want->mem), disk = compute::to_mib(want->disk);
    if (!mem) return mem.error();
    if (!disk) return disk.error();
    t.key = bid_key(rfp, o.did);
    t.rfp = rfp;
    t.tenant = author;
    t.by = request.by, t.answer_to = request.answer_to;
    t.user_data = want->user_data;
    t.cpus = want->cpus, t.mem_mib = *mem, t.disk_mib = *disk, t.location = want->location;
    const auto subject = render_subject(o.wif.subject.value_or("actx:{actx}:plc:{did-plc-key}:role:{role}"), o.actx, author, want->role);
    if (!subject) return subject.error();
    t.subject = *subject;

    ccb b;
    b.embed_ = {std::string(ccrfp::nsid), rfp};
    b.bid.cost = o.cost;
    b.bid.currency = o.currency, b.bid.frequency = o.frequency, b.bid.prepay = true, b.bid.slice = o.slice;
    b.bid.x402.base_url = o.door + "/ccr/{at}/{cid}";
    b.wif = o.wif;
    b.location = o.location;
    b.attestation = o.tier;
    b.createdAt = to_datetime(now);
    b.expiresAt = to_datetime(t.open_until);
    const auto price = price_of(b.bid);
    if (!price) return price.error();
    t.for_slice = price->for_slice, t.slice = price->slice.count();
    t.step = std::clamp<std::int64_t>(o.step.count(), 1, t.slice), t.grace = std::max<std::int64_t>(o.grace.count(), 0);
    // What her generation cannot say is not bid, rather than found out when room is kept for it.
    if (const auto said = write_bid(t.by, b, service_of(t.by, o.door)); !said) return said.error();
    t.bid = encode_dag_cbor(to_record(b));
    return t;
}

} // namespace souk
