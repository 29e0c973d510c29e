#include <souk/backends/rails/ledger_call.hpp>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk {

namespace {
using namespace std::chrono_literals;
constexpr auto good_for = 5min;
channel_answer no(const char* code, const char* text) { return {moved::no, {code, text}, {}, {}}; }
} // namespace

result<std::string> digest_of(const ledger_call& c) {
    const auto id = evm::channel::id_of(development_channels(), c.channel);
    if (!id) return id.error();
    return crypto::sha256("souk ledger " + c.what + '\n' + evm::to_hex_text(*id) + '\n' + std::to_string(c.amount) + '\n' + std::to_string(c.at));
}

void carry_out(embedded_ledger& in, const ledger_call& c, instant now, channel_rail::tell_books tell) {
    if (c.what == "look") return in.look(c.channel, std::move(tell));
    if (c.what == "fill" && c.deposit) return in.fill(c.channel, *c.deposit, std::move(tell));
    if (c.what == "claim" && c.claim) return in.claim(*c.claim, c.signature, std::move(tell));
    if (c.what == "give_back") return in.give_back(c.channel, c.amount, c.nonce, c.signature, std::move(tell));
    if (c.what != "begin_withdrawal" && c.what != "complete_withdrawal") return tell(no("unknown_call", "the ledger's channels know no such call"));
    // A rail that is a chain takes a transaction of the payer's for these; here it is his signature on the call.
    if (c.at < 0 || c.at > 253'402'300'799) return tell(no("call_expired", "it was not signed just now"));
    const instant at{std::chrono::seconds{c.at}};
    if (at > now + good_for || at < now - good_for) return tell(no("call_expired", "it was not signed just now"));
    const auto digest = digest_of(c);
    const auto bytes = evm::bytes_of(c.signature, 65);
    const auto by = digest && bytes ? crypto::recover(*digest, *bytes) : result<crypto::address>(refusal{});
    if (!by) return tell(no("bad_signature", "a withdrawal is signed by the payer"));
    if (c.what == "begin_withdrawal") return in.begin_withdrawal_by(c.channel, c.amount, *by, std::move(tell));
    in.complete_withdrawal_by(c.channel, *by, std::move(tell));
}

} // namespace souk
