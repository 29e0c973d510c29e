#include <souk/actors/payments/evm_channels.hpp>

#include <algorithm>
#include <limits>

#include <souk/actors/payments/evm_looks.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/token.hpp>

namespace souk {

namespace ch = evm::channel;

namespace {

channel_answer no(std::string code, std::string why) { return {moved::no, {std::move(code), std::move(why)}, {}, {}}; }
channel_answer invalid(const char* code, std::string why) { return no(std::string("invalid_batch_settlement_evm_") + code, std::move(why)); }
channel_answer unknown(std::string why) { return {moved::unknown, {"rail_unknown", std::move(why)}, {}, {}}; }

// More than fits is more than any channel of ours may have.
std::int64_t units(const std::string& decimal) {
    const auto n = from_decimal(decimal, 0);
    return n ? *n : std::numeric_limits<std::int64_t>::max();
}
instant at_second(std::int64_t s) { return evm_looks::at_second(static_cast<std::uint64_t>(std::max<std::int64_t>(s, 0))); }

} // namespace

class evm_channels::impl : public std::enable_shared_from_this<impl> {
public:
    impl(const evm_rail& rail, evm_channels_options o)
        : options_(std::move(o)), rail_(rail.options()), on_(rail.chain()), lanes_(rail.keys()), contract_(lower(options_.place.contract)), asset_(lower(rail_.token.contract)) {}

    const evm_channels_options& options() const { return options_; }
    const evm_rail_options& rail() const { return rail_; }

    // -- looking ------------------------------------------------------------------------------------------------------------

    struct seen {
        channel_books books;
        std::uint64_t block = 0;
    };
    // All of it in one block: where the chain drops that one meanwhile, nothing was seen.
    void look(const ch::config& c, std::function<void(result<seen>)> then) {
        const auto id = ch::id_of(options_.place, c);
        if (!id) return then(id.error());
        const auto name = evm::to_hex_text(*id);
        evm_looks::deep_block(on_, rail_.gas.confirmations, [self = shared_from_this(), name, then](result<evm::block> b, std::uint64_t) {
            if (!b) return then(refusal{"rail_unknown", b.error().text});
            self->ask({ch::channels_query(name).value(), ch::pending_query(name).value(), ch::refund_nonce_query(name).value()}, b->number, {}, [self, name, then, b = *b](result<std::vector<std::string>> said) {
                if (!said) return then(said.error());
                const auto s = ch::state_of(name, (*said)[0], (*said)[1], (*said)[2]);
                if (!s) return then(refusal{"rail_unknown", s.error().text});
                self->on_->block_at(b.number, [then, b, s = *s](result<evm::block> still) {
                    if (!still || still->hash != b.hash) return then(refusal{"rail_unknown", "the block that was looked at is not there any more"});
                    seen x{{units(s.balance), units(s.totalClaimed), at_second(s.withdrawRequestedAt), units(s.refundNonce), evm_looks::at_second(b.time_s)}, b.number};
                    then(x);
                });
            });
        });
    }
    void look_only(const ch::config& c, tell_books tell) {
        look(c, [tell](result<seen> s) { tell(s ? channel_answer{moved::yes, {}, s->books, {}} : answer_of(s.error())); });
    }

    // -- the receiver's -----------------------------------------------------------------------------------------------------

    void fill(const ch::config& c, const ch::deposit& d, tell_books tell) {
        const auto id = ch::id_of(options_.place, c);
        const auto data = ch::deposit_call(options_.place, c, d);
        const auto& a = d.authorization.erc3009Authorization;
        const auto nonce = id ? ch::deposit_nonce(evm::to_hex_text(*id), a.salt) : id;
        if (!nonce || !data) return tell(invalid("payload_type", !nonce ? nonce.error().text : data.error().text));
        if (lower(c.token) != asset_) return tell(invalid("token_mismatch", "this rail moves " + rail_.token.contract + " and nothing else"));
        lane::job j;
        j.id = "fill/" + evm::to_hex_text(*id) + '/' + lower(a.salt), j.to = contract_, j.data = *data, j.most_gas = options_.most_gas;
        j.not_after = std::min(rail_.now() + options_.offered_for, at_second(units(a.validBefore)));
        const auto used = [self = shared_from_this(), c, d, id = evm::to_hex_text(*id), nonce = evm::to_hex_text(*nonce)](auto then) { self->find_deposit(c, d, id, nonce, then); };
        used([self = shared_from_this(), j, tell, used, a](channel_answer before) {
            if (before.how != moved::no || before.why.code != "not_used") return tell(std::move(before));
            if (before.books.as_of >= at_second(units(a.validBefore))) return tell(invalid("payload_authorization_valid_before", "the authorisation has expired"));
            self->bring(j, {}, "deposit_transaction_failed", [used](auto then) { used(then); }, tell);
        });
    }
    void claim(const ch::claim& what, const std::string& word, tell_books tell) {
        const auto& c = what.voucher.channel;
        const auto data = ch::claim_call({what}, word), paid = ch::settle_call(c.receiver, c.token);
        const auto id = ch::id_of(options_.place, c);
        if (!data || !paid || !id) return tell(invalid("payload_type", !data ? data.error().text : !paid ? paid.error().text : id.error().text));
        // Claimed and paid out in one: the second is for whatever of the receiver's lies there.
        auto j = job("claim/" + evm::to_hex_text(*id) + '/' + what.totalClaimed, ch::multicall({*data, *paid}));
        const auto total = units(what.totalClaimed);
        unless_done(c, std::move(j), {}, "claim_transaction_failed", [total](const channel_books& b) { return b.claimed >= total; },
                    [total](const channel_books& b) -> std::optional<channel_answer> {
                        if (total > b.balance) return invalid("cumulative_exceeds_balance", "the channel has less");
                        return std::nullopt;
                    }, std::move(tell));
    }
    void give_back(const ch::config& c, amount much, std::int64_t nonce, const std::string& word, tell_books tell) {
        const auto data = ch::refund_call(c, std::to_string(much), std::to_string(nonce), word);
        const auto id = ch::id_of(options_.place, c);
        if (!data || !id || nonce < 0) return tell(invalid("refund_amount_invalid", !data ? data.error().text : "no such refund"));
        unless_done(c, job("back/" + evm::to_hex_text(*id) + '/' + std::to_string(nonce), *data), {}, "refund_transaction_failed",
                    [nonce](const channel_books& b) { return b.refund_nonce > nonce; },
                    [nonce](const channel_books& b) -> std::optional<channel_answer> {
                        if (b.refund_nonce < nonce) return invalid("refund_payload", "the nonce is of a later refund");
                        return std::nullopt;
                    }, std::move(tell));
    }

    // -- the payer's --------------------------------------------------------------------------------------------------------

    void begin_withdrawal(const ch::config& c, amount much, const crypto::secret& by, tell_books tell) {
        const auto data = ch::initiate_withdraw_call(c, std::to_string(much));
        payers(c, by, data, [self = shared_from_this(), c, much, data, tell](const std::string& id, const std::string& signer) {
            self->look(c, [self, c, much, data, tell, id, signer](result<seen> s) {
                if (!s) return tell(answer_of(s.error()));
                if (s->books.leaving_since != instant{}) return tell({moved::yes, {}, s->books, {}});
                if (much <= 0 || much > s->books.balance - s->books.claimed) return tell(invalid("refund_amount_invalid", "more than is left, or nothing"));
                // A channel is left with another balance or refund nonce than it had when it was left before; or the same job stands for it.
                const auto again = std::to_string(s->books.balance) + '/' + std::to_string(s->books.refund_nonce);
                self->unless_done(c, self->job("leave/" + id + '/' + again, *data), signer, "withdrawal_failed", [](const channel_books& b) { return b.leaving_since != instant{}; }, {}, tell);
            });
        }, tell);
    }
    void complete_withdrawal(const ch::config& c, const crypto::secret& by, tell_books tell) {
        const auto data = ch::finalize_withdraw_call(c);
        payers(c, by, data, [self = shared_from_this(), c, data, tell](const std::string& id, const std::string& signer) {
            self->look(c, [self, c, data, tell, id, signer](result<seen> s) {
                if (!s) return tell(answer_of(s.error()));
                const auto& b = s->books;
                if (b.leaving_since == instant{}) return tell(no("no_withdrawal", "none was begun, or it is over"));
                if (b.as_of < b.leaving_since + std::chrono::seconds{c.withdrawDelay}) return tell(no("too_early", "the channel's delay has not passed"));
                const auto since = std::chrono::floor<std::chrono::seconds>(b.leaving_since.time_since_epoch()).count();
                self->unless_done(c, self->job("left/" + id + '/' + std::to_string(since), *data), signer, "withdrawal_failed", [](const channel_books& now) { return now.leaving_since == instant{}; }, {}, tell);
            });
        }, tell);
    }

private:
    using judge = std::function<bool(const channel_books&)>;
    using objects = std::function<std::optional<channel_answer>(const channel_books&)>;

    static channel_answer answer_of(const refusal& why) {
        if (why.code == "rail_unknown") return unknown(why.text);
        return invalid("channel_id_invalid", why.text);
    }
    void ask(std::vector<std::string> calls, std::uint64_t at, std::vector<std::string> said, std::function<void(result<std::vector<std::string>>)> then) {
        if (said.size() == calls.size()) return then(std::move(said));
        const auto next = calls[said.size()];
        on_->call({}, contract_, next, at, [self = shared_from_this(), calls = std::move(calls), at, said = std::move(said), then](result<evm::called> c) mutable {
            if (!c || c->reverted) return then(refusal{"rail_unknown", c ? "the contract does not say how the channel stands" : c.error().text});
            said.push_back(c->data);
            self->ask(std::move(calls), at, std::move(said), then);
        });
    }
    lane::job job(std::string id, std::string data) const {
        lane::job j;
        j.id = std::move(id), j.to = contract_, j.data = std::move(data), j.most_gas = options_.most_gas, j.not_after = rail_.now() + options_.offered_for;
        return j;
    }

    // What the contract has not got yet is brought to it; then it is looked at again.
    void unless_done(const ch::config& c, lane::job j, const std::string& by, const char* failed, judge done, objects against, tell_books tell) {
        const auto state = [self = shared_from_this(), c, done, against](tell_books then) {
            self->look(c, [then, done, against](result<seen> s) {
                if (!s) return then(answer_of(s.error()));
                if (done(s->books)) return then({moved::yes, {}, s->books, {}});
                if (against)
                    if (auto why = against(s->books)) return then(std::move(*why));
                then({moved::no, {"not_done", {}}, s->books, {}});
            });
        };
        state([self = shared_from_this(), j = std::move(j), by, failed, state, tell](channel_answer before) {
            if (before.how != moved::no || before.why.code != "not_done") return tell(std::move(before));
            self->bring(j, by, failed, state, tell);
        });
    }
    void bring(const lane::job& j, const std::string& by, const char* failed, std::function<void(tell_books)> state, tell_books tell) {
        if (lanes_->signers().empty()) return tell(no("rail_reads_only", "this node has no key that settles"));
        const auto then = [state, failed, tell](const key_lanes::landed& l) {
            if (!l.at && !l.refused) return tell({moved::unknown, l.why, {}, {}});
            state([l, failed, tell](channel_answer after) {
                if (after.how == moved::yes && l.at && l.at->succeeded && after.transaction.empty()) after.transaction = l.at->hash;
                if (after.how != moved::no || (after.why.code != "not_done" && after.why.code != "not_used")) return tell(std::move(after));
                if (l.refused) return tell(invalid(failed, l.why.code + ": " + l.why.text)); // by the contract, or too dear: it costs nothing to ask again
                if (!l.at->succeeded) return tell(invalid(failed, l.at->why));
                tell(unknown("it is done, and not seen in a block that lies deep enough"));
            });
        };
        if (lanes_->under_way(j.id)) return lanes_->wait(j.id, then);
        lanes_->land(j, then, by);
    }

    // Whether the deposit's own nonce was used, and by this deposit: "not_used", as of when.
    void find_deposit(const ch::config& c, const ch::deposit& d, const std::string& id, const std::string& nonce, tell_books then) {
        look(c, [self = shared_from_this(), c, d, id, nonce, then](result<seen> s) {
            if (!s) return then(answer_of(s.error()));
            const auto call = evm::token::authorization_state(c.payer, nonce);
            if (!call) return then(invalid("payload_type", call.error().text));
            self->on_->call({}, self->asset_, *call, s->block, [self, c, d, id, nonce, then, s = *s](result<evm::called> used) {
                const auto word = used && !used->reverted ? evm::abi::word_at(used->data, 0) : result<evm::word>(refusal{});
                if (!word) return then(unknown(used ? "the token's answer cannot be read" : used.error().text));
                if (word->find_first_not_of('\0') == evm::word::npos) return then({moved::no, {"not_used", {}}, s.books, {}});
                evm_looks::find_use(self->on_, self->asset_, c.payer, nonce, s.block, {self->rail_.search_back, self->rail_.search_step}, [self, d, id, then, s](result<std::optional<evm::receipt>> r) {
                    if (!r) return then(unknown(r.error().text));
                    if (!*r) return then(unknown("it was used; where, the node does not show"));
                    const auto value = evm::uint256(d.amount);
                    const auto ours = std::any_of((*r)->logs.begin(), (*r)->logs.end(), [&](const evm::log& l) {
                        return l.address == self->contract_ && l.topics.size() == 3 && l.topics[0] == ch::topic::deposited() && l.topics[1] == id && value && l.data.substr(0, 32) == *value;
                    });
                    if (!ours) return then(invalid("deposit_transaction_failed", "this nonce has paid for something else, or was cancelled"));
                    then({moved::yes, {}, s.books, (*r)->transaction});
                });
            });
        });
    }
    // By a key that is one of the rail's, and may.
    void payers(const ch::config& c, const crypto::secret& by, const result<std::string>& data, std::function<void(const std::string& id, const std::string& signer)> then, const tell_books& tell) {
        const auto id = ch::id_of(options_.place, c);
        const auto who = crypto::address_of(by);
        if (!data || !id || !who) return tell(invalid("channel_id_invalid", "no such channel, amount or key"));
        if (!crypto::same_address(*who, c.payer) && !crypto::same_address(*who, c.payerAuthorizer)) return tell(no("not_the_payer", "a withdrawal is the payer's, or his authorizer's"));
        const auto signer = lower(*who);
        if (std::find(lanes_->signers().begin(), lanes_->signers().end(), signer) == lanes_->signers().end())
            return tell(no("rail_reads_only", "a withdrawal is a transaction of the payer's own, and this rail has no such key"));
        then(evm::to_hex_text(*id), signer);
    }

    const evm_channels_options options_;
    const evm_rail_options rail_;
    const std::shared_ptr<evm::chain> on_;
    const std::shared_ptr<key_lanes> lanes_;
    const std::string contract_, asset_;
};

evm_channels::evm_channels(const evm_rail& rail, evm_channels_options o) : impl_(std::make_shared<impl>(rail, std::move(o))) {}
evm_channels::~evm_channels() = default;

std::string evm_channels::network() const { return impl_->rail().network; }
x402::domain evm_channels::token() const { return impl_->rail().token; }
ch::place evm_channels::channels() const { return impl_->options().place; }
void evm_channels::fill(const ch::config& c, const ch::deposit& d, tell_books tell) { impl_->fill(c, d, std::move(tell)); }
void evm_channels::look(const ch::config& c, tell_books tell) { impl_->look_only(c, std::move(tell)); }
void evm_channels::claim(const ch::claim& c, const std::string& word, tell_books tell) { impl_->claim(c, word, std::move(tell)); }
void evm_channels::give_back(const ch::config& c, amount much, std::int64_t nonce, const std::string& word, tell_books tell) { impl_->give_back(c, much, nonce, word, std::move(tell)); }
void evm_channels::begin_withdrawal(const ch::config& c, amount much, const crypto::secret& by, tell_books tell) { impl_->begin_withdrawal(c, much, by, std::move(tell)); }
void evm_channels::complete_withdrawal(const ch::config& c, const crypto::secret& by, tell_books tell) { impl_->complete_withdrawal(c, by, std::move(tell)); }

} // namespace souk
