#include <souk/backends/rails/escrow_call.hpp>

#include <souk/messages/evm/word.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto escrow_call_good_for = 5min;

std::optional<escrow_call_said> said_of(const escrow_answer& a) {
    if (a.how == moved::unknown) return std::nullopt;
    escrow_call_said s;
    if (a.how == moved::no) s.refused = a.why;
    s.books = a.books, s.credit = a.credit, s.transaction = a.transaction, s.bad = a.bad;
    return s;
}
escrow_call_said refused_call(const char* code, const char* text) {
    escrow_call_said s;
    s.refused = refusal{code, text};
    return s;
}

} // namespace

std::string digest_of(const escrow_call& c) {
    auto unsigned_one = c;
    unsigned_one.signature.clear();
    return crypto::sha256("souk ledger escrow\n" + encode_described(unsigned_one));
}

void carry_out(embedded_ledger& in, const escrow_call& c, instant now, std::function<void(std::optional<escrow_call_said>)> tell) {
    const auto answers = [tell](escrow_answer a) { tell(said_of(a)); };
    if (c.what == "look" && c.source && c.nonces.size() <= evm::escrow::most_requests) return in.look_at(*c.source, c.nonces, answers);
    if (c.what == "free")
        return in.free_of(c.owner, [tell](result<amount> a) {
            escrow_call_said s;
            if (a) s.free = *a;
            else s.refused = a.error();
            tell(std::move(s));
        });
    const bool pays = c.what == "consume", orders = c.what == "order" && c.order;
    if (!pays && !orders) return tell(refused_call("unknown_call", "the ledger's escrow knows no such call"));
    if (c.at < 0 || c.at > 253'402'300'799) return tell(refused_call("call_expired", "it was not signed just now"));
    const instant at{std::chrono::seconds{c.at}};
    if (at > now + escrow_call_good_for || at < now - escrow_call_good_for) return tell(refused_call("call_expired", "it was not signed just now"));
    const auto bytes = evm::bytes_of(c.signature, 65);
    const auto by = bytes ? crypto::recover(digest_of(c), *bytes) : result<crypto::address>(refusal{});
    if (!by) return tell(refused_call("bad_signature", "it is signed by whoever's it is"));
    if (pays) return in.consume_by(c.requests, *by, answers);
    in.carry_out_by(*c.order, *by, answers);
}

} // namespace souk
