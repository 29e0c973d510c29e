#include <souk/actors/payments/evm_escrow.hpp>

#include <algorithm>
#include <limits>

#include <souk/actors/payments/evm_looks.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>

namespace souk {

namespace es = evm::escrow;

namespace {

escrow_answer no(refusal why) {
    escrow_answer a;
    a.how = moved::no, a.why = std::move(why);
    return a;
}
escrow_answer unknown(std::string why) {
    escrow_answer a;
    a.why = {"rail_unknown", std::move(why)};
    return a;
}

// More than fits is as much as fits.
std::int64_t units(const std::string& decimal) {
    const auto n = from_decimal(decimal, 0);
    return n ? *n : std::numeric_limits<std::int64_t>::max();
}
instant at_second(std::int64_t s) { return evm_looks::at_second(static_cast<std::uint64_t>(std::max<std::int64_t>(s, 0))); }

// The contract's own errors, by the four bytes that a reason begins with.
refusal refusal_in(const std::string& reason) {
    struct error { const char *signature, *code, *text; };
    static constexpr error all[] = {
        {"NoAmount()", "no_amount", "an amount is above zero"},
        {"TooMuch()", "too_much", "more than is there"},
        {"BadParty()", "bad_party", "nobody, or himself"},
        {"PriceLowered()", "price_lowered", "who serves at a price must find it good when he presents it"},
        {"NoticePending()", "notice_pending", "another one is under way"},
        {"NoNotice()", "no_notice", "none was announced, or it is over"},
        {"TooEarly()", "too_early", "its time has not come"},
        {"NotProvider()", "not_provider", "it is another's to present"},
        {"Expired()", "expired", "its time is over"},
        {"PriceTooHigh()", "price_too_high", "a request costs less at most"},
        {"BeyondBudget()", "beyond_budget", "the budget is smaller"},
        {"WrongCredit()", "wrong_credit", "there is no such credit, or it is for others"},
        {"BeyondCredit()", "beyond_credit", "the credit is used up"},
        {"Used()", "used", "this nonce has paid already"},
        {"BadSignature()", "bad_signature", "not signed by the payer"},
        {"TransferFailed()", "too_much", "the token does not move so much"},
    };
    for (const auto& e : all)
        if (reason.find(evm::to_hex_text(evm::abi::selector(e.signature))) != reason.npos) return {e.code, e.text};
    return {"transaction_failed", reason};
}
// That it never will be, whatever comes after.
bool is_about_requests(const refusal& r) { return r.code != "transaction_failed" && r.code != "not_provider"; }

} // namespace

class evm_escrow::impl : public std::enable_shared_from_this<impl> {
public:
    impl(const evm_rail& rail, evm_escrow_options o)
        : options_(std::move(o)), rail_(rail.options()), on_(rail.chain()), lanes_(rail.keys()), contract_(lower(options_.place.contract)), asset_(lower(rail_.token.contract)) {}

    const evm_escrow_options& options() const { return options_; }
    const evm_rail_options& rail() const { return rail_; }

    // -- looking ------------------------------------------------------------------------------------------------------------

    // All of it in one block: where the chain drops that one meanwhile, nothing was seen.
    void look(const escrow_source& of, const std::vector<std::string>& nonces, tell_escrow tell) {
        std::vector<std::string> calls;
        const auto first = of.credit == "0" ? es::allowance_query(of.payer, of.provider, of.token) : es::credit_query(of.credit);
        if (!first) return tell(no(first.error()));
        calls.push_back(*first);
        for (const auto& n : nonces) {
            const auto used = es::used_query(of.payer, of.provider, n);
            if (!used) return tell(no(used.error()));
            calls.push_back(*used);
        }
        evm_looks::deep_block(on_, rail_.gas.confirmations, [self = shared_from_this(), of, nonces, calls = std::move(calls), tell](result<evm::block> b, std::uint64_t) mutable {
            if (!b) return tell(unknown(b.error().text));
            self->ask(std::move(calls), b->number, {}, [self, of, nonces, tell, b = *b](result<std::vector<std::string>> said) {
                if (!said) return tell(unknown(said.error().text));
                const auto books = self->books_of(of, nonces, *said, b.time_s);
                if (!books) return tell(unknown(books.error().text));
                self->on_->block_at(b.number, [tell, b, books = *books](result<evm::block> still) {
                    if (!still || still->hash != b.hash) return tell(unknown("the block that was looked at is not there any more"));
                    escrow_answer a;
                    a.how = moved::yes, a.books = books;
                    tell(std::move(a));
                });
            });
        });
    }
    void free_of(const std::string& owner, std::function<void(result<amount>)> tell) {
        const auto call = es::balance_query(owner, rail_.token.contract);
        if (!call) return tell(call.error());
        evm_looks::deep_block(on_, rail_.gas.confirmations, [self = shared_from_this(), call = *call, tell](result<evm::block> b, std::uint64_t) {
            if (!b) return tell(refusal{"rail_unknown", b.error().text});
            self->ask({call}, b->number, {}, [tell](result<std::vector<std::string>> said) {
                const auto word = said ? evm::abi::word_at(said->front(), 0) : result<evm::word>(said.error());
                if (!word) return tell(refusal{"rail_unknown", word.error().text});
                tell(units(evm::to_decimal(*word)));
            });
        });
    }

    // -- the provider's pay -------------------------------------------------------------------------------------------------

    void consume(const std::vector<es::signed_request>& all, const crypto::secret& by, tell_escrow tell) {
        const auto who = signer_of(by);
        if (!who) return tell(no(who.error()));
        const auto data = es::consume_call(all);
        if (!data || all.empty()) return tell(no(data ? refusal{"too_many", "at least one"} : data.error()));
        std::string name;
        for (const auto& s : all) {
            const auto digest = es::digest_of(options_.place, s.request);
            if (!digest) return tell(no(digest.error()));
            if (lower(s.request.provider) != *who) return tell(no({"not_provider", "it is another's to present"}));
            if (lower(s.request.token) != asset_) return tell(no({"wrong_token", "this rail moves " + rail_.token.contract + " and nothing else"}));
            name += *digest;
        }
        auto j = job("consume/" + to_hex(crypto::sha256(name)), *data, contract_);
        j.most_gas = options_.most_gas + static_cast<std::int64_t>(all.size() - 1) * options_.gas_for_more;
        if (lanes_->under_way(j.id)) return lanes_->wait(j.id, [self = shared_from_this(), all, who = *who, tell](const key_lanes::landed& l) { self->consumed(all, who, l, tell); });
        presented(all, [self = shared_from_this(), all, who = *who, j, tell](escrow_answer before) {
            if (before.how != moved::yes) return tell(std::move(before));
            const auto& used = before.books.used;
            if (used.size() == all.size()) return tell(std::move(before)); // it is what it was
            if (!used.empty()) return tell(self->told_apart(all, used));
            self->lanes_->land(j, [self, all, who, tell](const key_lanes::landed& l) { self->consumed(all, who, l, tell); }, who);
        });
    }

    // -- what one does with one's own ---------------------------------------------------------------------------------------

    void carry_out(const escrow_order& o, const crypto::secret& by, tell_escrow tell) {
        const auto who = signer_of(by);
        if (!who) return tell(no(who.error()));
        if (o.once.empty() || o.once.size() > 256) return tell(no({"bad_name", "an order has a name of 256 bytes at most"}));
        if (o.amount < 0 || o.price < 0) return tell(no({"no_amount", "an amount is above zero"}));
        const auto call = call_of(o);
        if (!call) return tell(no(call.error()));
        const auto id = "escrow/" + *who + '/' + to_hex(crypto::sha256(o.once)).substr(0, 32) + '/' + to_hex(crypto::sha256(encode_described(o))).substr(0, 16);
        const auto go = [self = shared_from_this(), o, who = *who, id, call = *call, tell] {
            self->lanes_->land(self->job(id, call, self->contract_), [self, o, who, tell](const key_lanes::landed& l) { self->carried_out(o, who, l, tell); }, who);
        };
        if (o.what != "deposit" || lanes_->under_way(id)) return go();
        allow(o, *who, id + "/allow", go, tell);
    }

private:
    result<escrow_books> books_of(const escrow_source& of, const std::vector<std::string>& nonces, const std::vector<std::string>& said, std::uint64_t time_s) const {
        escrow_books b;
        b.as_of = evm_looks::at_second(time_s);
        if (of.credit == "0") {
            const auto a = es::allowance_of(said.front());
            if (!a) return a.error();
            b.budget = units(a->budget), b.price = units(a->price), b.leaving = std::min(units(a->leaving), b.budget), b.leaving_since = at_second(a->since);
        } else {
            const auto c = es::credit_of(said.front());
            if (!c) return c.error();
            b.fits = c->payer == lower(of.payer) && c->provider == lower(of.provider) && c->token == lower(of.token);
            if (b.fits) b.budget = b.price = units(c->left), b.expires = at_second(c->expires);
        }
        for (std::size_t i = 0; i < nonces.size(); ++i) {
            const auto used = evm::abi::word_at(said[i + 1], 0);
            if (!used) return used.error();
            if (used->find_first_not_of('\0') != evm::word::npos) b.used.push_back(nonces[i]);
        }
        return b;
    }
    void ask(std::vector<std::string> calls, std::uint64_t at, std::vector<std::string> said, std::function<void(result<std::vector<std::string>>)> then) {
        if (said.size() == calls.size()) return then(std::move(said));
        const auto next = calls[said.size()];
        on_->call({}, contract_, next, at, [self = shared_from_this(), calls = std::move(calls), at, said = std::move(said), then](result<evm::called> c) mutable {
            if (!c || c->reverted) return then(refusal{"rail_unknown", c ? "the contract does not say how it stands" : c.error().text});
            said.push_back(c->data);
            self->ask(std::move(calls), at, std::move(said), then);
        });
    }
    lane::job job(std::string id, std::string data, const std::string& to) const {
        lane::job j;
        j.id = std::move(id), j.to = to, j.data = std::move(data), j.most_gas = options_.most_gas, j.not_after = rail_.now() + options_.offered_for;
        return j;
    }
    result<std::string> signer_of(const crypto::secret& by) const {
        const auto who = crypto::address_of(by);
        if (!who) return who.error();
        const auto signer = lower(*who);
        if (std::find(lanes_->signers().begin(), lanes_->signers().end(), signer) == lanes_->signers().end())
            return refusal{"rail_reads_only", "it is a transaction of one's own, and this rail has no such key"};
        return signer;
    }

    // -- batches ------------------------------------------------------------------------------------------------------------

    // Nonces that were used: by these very requests, since nobody but the provider presents, and his keeper takes each nonce once, for one credit.
    void presented(const std::vector<es::signed_request>& all, tell_escrow tell) {
        std::vector<std::string> nonces;
        for (const auto& s : all) nonces.push_back(s.request.nonce);
        const auto& r = all.front().request;
        for (const auto& s : all)
            if (lower(s.request.payer) != lower(r.payer) || s.request.credit != r.credit) return tell(no({"bad_batch", "a batch is of one allowance or credit"}));
        look({r.payer, r.provider, r.token, r.credit}, nonces, std::move(tell));
    }
    escrow_answer told_apart(const std::vector<es::signed_request>& all, const std::vector<std::string>& used) const {
        auto a = no({"consumed", "a part of it was presented before"});
        for (const auto& s : all)
            if (std::find(used.begin(), used.end(), s.request.nonce) != used.end()) a.bad.push_back({s.request.nonce, {"consumed", "it was presented before"}});
        return a;
    }
    void consumed(const std::vector<es::signed_request>& all, const std::string& who, const key_lanes::landed& l, const tell_escrow& tell) {
        if (!l.at && !l.refused) return tell(unknown(l.why.code + ": " + l.why.text));
        presented(all, [self = shared_from_this(), all, who, l, tell](escrow_answer after) {
            if (after.how != moved::yes) return tell(std::move(after));
            const auto& used = after.books.used;
            if (used.size() == all.size()) {
                if (l.at && l.at->succeeded) after.transaction = l.at->hash;
                return tell(std::move(after));
            }
            if (!used.empty()) return tell(self->told_apart(all, used));
            if (l.at && l.at->succeeded) return tell(unknown("it is done, and not seen in a block that lies deep enough"));
            if (l.refused && l.why.code != "reverted" && l.why.code != "too_late") return tell(no(l.why)); // too dear, or nobody had time: nothing about the requests
            self->single_out(all, who, after.books, 0, {}, tell);
        });
    }
    // One after the other, as the newest block would have it: who is refused alone is bad. Then all that fit together.
    void single_out(const std::vector<es::signed_request>& all, const std::string& who, const escrow_books& books, std::size_t at, std::vector<escrow_bad> bad, const tell_escrow& tell) {
        if (at == all.size()) {
            auto left = books.budget;
            for (const auto& s : all) {
                if (std::any_of(bad.begin(), bad.end(), [&](const escrow_bad& b) { return b.nonce == s.request.nonce; })) continue;
                const auto price = units(s.request.price);
                if (price > left) bad.push_back({s.request.nonce, {"beyond_budget", "the budget is smaller"}});
                else left -= price;
            }
            if (bad.empty()) return tell(unknown("the contract refused it, and now it would not"));
            auto a = no(bad.front().why);
            a.bad = std::move(bad);
            return tell(std::move(a));
        }
        const auto call = es::consume_call(all[at]);
        if (!call) return tell(no(call.error()));
        on_->call(who, contract_, *call, {}, [self = shared_from_this(), all, who, books, at, bad = std::move(bad), tell](result<evm::called> c) mutable {
            if (!c) return tell(unknown(c.error().text));
            if (c->reverted) {
                auto why = refusal_in(evm::abi::revert_reason(c->data));
                if (why.code == "used") return tell(unknown("a transaction with a part of it is on its way")); // in a block, and not deep enough
                if (is_about_requests(why)) bad.push_back({all[at].request.nonce, std::move(why)});
            }
            self->single_out(all, who, books, at + 1, std::move(bad), tell);
        });
    }

    // -- orders -------------------------------------------------------------------------------------------------------------

    result<std::string> call_of(const escrow_order& o) const {
        const auto &token = rail_.token.contract, much = std::to_string(o.amount);
        if (o.what == "deposit") return es::deposit_call(token, much);
        if (o.what == "withdraw") return es::withdraw_call(token, much);
        if (o.what == "approve") return es::approve_call(o.provider, token, std::to_string(o.price), much);
        if (o.what == "announce") return es::announce_call(o.provider, token, much);
        if (o.what == "release") return es::release_call(o.provider, token);
        if (o.what == "give_back") return es::give_back_call(o.payer, token, much);
        if (o.what == "grant") return es::grant_call(o.payer, o.provider, token, much, o.expires);
        if (o.what == "reclaim") return es::reclaim_call(o.credit);
        return refusal{"unknown_order", "an escrow knows no such order"};
    }
    // The token moves what its owner lets the contract take.
    void allow(const escrow_order& o, const std::string& who, const std::string& id, std::function<void()> then, const tell_escrow& tell) {
        const auto asks = evm::abi::call("allowance(address,address)", {evm::abi::fixed(evm::address_word(who).value()), evm::abi::fixed(evm::address_word(contract_).value())});
        on_->call({}, asset_, asks, {}, [self = shared_from_this(), o, who, id, then, tell](result<evm::called> c) {
            const auto word = c && !c->reverted ? evm::abi::word_at(c->data, 0) : result<evm::word>(refusal{});
            if (!word) return tell(unknown("the token does not say what the escrow may take"));
            if (units(evm::to_decimal(*word)) >= o.amount) return then();
            const auto data = evm::abi::call("approve(address,uint256)", {evm::abi::fixed(evm::address_word(self->contract_).value()), evm::abi::fixed(evm::number(static_cast<std::uint64_t>(o.amount)))});
            self->lanes_->land(self->job(id, data, self->asset_), [then, tell](const key_lanes::landed& l) {
                if (!l.at) return tell(l.refused ? no({"transaction_failed", "the token allows nothing: " + l.why.text}) : unknown(l.why.code + ": " + l.why.text));
                then();
            }, who);
        });
    }
    void carried_out(const escrow_order& o, const std::string& who, const key_lanes::landed& l, const tell_escrow& tell) {
        if (!l.at && !l.refused) return tell(unknown(l.why.code + ": " + l.why.text));
        if (l.refused) return tell(no(l.why.code == "reverted" ? refusal_in(l.why.text) : l.why));
        if (!l.at->succeeded) return tell(no({"transaction_failed", l.at->why}));
        if (o.what == "grant") return granted(l.at->hash, tell);
        const bool payers = o.what == "approve" || o.what == "announce" || o.what == "release";
        if (!payers && o.what != "give_back") {
            escrow_answer a;
            a.how = moved::yes, a.transaction = l.at->hash;
            return tell(std::move(a));
        }
        look({payers ? who : o.payer, payers ? o.provider : who, rail_.token.contract, "0"}, {}, [hash = l.at->hash, tell](escrow_answer a) {
            a.transaction = hash;
            tell(std::move(a));
        });
    }
    void granted(const std::string& hash, const tell_escrow& tell) {
        on_->receipt_of(hash, [self = shared_from_this(), hash, tell](result<std::optional<evm::receipt>> r) {
            if (!r || !*r) return tell(unknown(r ? "a transaction that the node has no receipt of" : r.error().text));
            for (const auto& x : (*r)->logs) {
                if (x.address != self->contract_ || x.topics.size() < 2 || x.topics[0] != es::topic::granted()) continue;
                const auto number = evm::bytes_of(x.topics[1], 32);
                if (!number) continue;
                escrow_answer a;
                a.how = moved::yes, a.credit = evm::to_decimal(*number), a.transaction = hash;
                return tell(std::move(a));
            }
            tell(unknown("the contract does not say which credit it made"));
        });
    }

    const evm_escrow_options options_;
    const evm_rail_options rail_;
    const std::shared_ptr<evm::chain> on_;
    const std::shared_ptr<key_lanes> lanes_;
    const std::string contract_, asset_;
};

evm_escrow::evm_escrow(const evm_rail& rail, evm_escrow_options o) : impl_(std::make_shared<impl>(rail, std::move(o))) {}
evm_escrow::~evm_escrow() = default;

std::string evm_escrow::network() const { return impl_->rail().network; }
x402::domain evm_escrow::token() const { return impl_->rail().token; }
es::place evm_escrow::escrow() const { return impl_->options().place; }
void evm_escrow::look_at(const escrow_source& of, const std::vector<std::string>& nonces, tell_escrow tell) { impl_->look(of, nonces, std::move(tell)); }
void evm_escrow::free_of(const std::string& owner, std::function<void(result<amount>)> tell) { impl_->free_of(owner, std::move(tell)); }
void evm_escrow::consume(const std::vector<es::signed_request>& all, const crypto::secret& by, tell_escrow tell) { impl_->consume(all, by, std::move(tell)); }
void evm_escrow::carry_out(const escrow_order& o, const crypto::secret& by, tell_escrow tell) { impl_->carry_out(o, by, std::move(tell)); }

} // namespace souk
