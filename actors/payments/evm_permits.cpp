#include <souk/actors/payments/evm_permits.hpp>

#include <algorithm>
#include <limits>

#include <souk/actors/payments/evm_looks.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/permit2.hpp>
#include <souk/messages/evm/token.hpp>

namespace souk {

namespace p2 = evm::permit2;

namespace {

constexpr const char* used_code = "permit2_invalid_nonce"; // the official one for a nonce that is used

std::optional<evm::word> answered(const result<evm::called>& c) {
    if (!c || c->reverted) return std::nullopt;
    auto w = evm::abi::word_at(c->data, 0);
    return w ? std::optional(std::move(*w)) : std::nullopt;
}
std::optional<amount> amount_in(const evm::word& w) {
    const auto n = evm::small(w);
    if (!n || *n > static_cast<std::uint64_t>(std::numeric_limits<amount>::max())) return std::nullopt;
    return static_cast<amount>(*n);
}
bool by_permit(const x402::authorization& a) { return a.nonce.starts_with(x402::permit_nonce); }

} // namespace

class evm_permits::impl : public std::enable_shared_from_this<impl> {
public:
    impl(const evm_rail& rail, evm_permits_options o)
        : options_(o), rail_(rail.options()), on_(rail.chain()), lanes_(rail.keys()), asset_(lower(rail_.token.contract)), contract_(lower(p2::contract)) {}

    // -- settling -----------------------------------------------------------------------------------------------------------

    void settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        const auto no = [&tell](refusal why) { tell({moved::no, {}, std::move(why)}); };
        if (const auto good = p2::check_amount(p); !good) return no(good.error());
        const auto& permit = *p.permit2Authorization;
        if (lower(permit.permitted.token) != asset_) return no({"permit2_token_mismatch", "this rail moves " + rail_.token.contract + " and nothing else"});
        if (!crypto::same_address(permit.spender, p2::proxy_of(permit))) return no({"invalid_permit2_spender", "it is for " + permit.spender + " to spend"});
        if (lanes_->signers().empty()) return no({"rail_reads_only", "this node has no key that settles"});
        if (p2::is_upto(permit) && !ours(*permit.witness.facilitator)) return no({"upto_facilitator_mismatch", *permit.witness.facilitator + " is to settle it"});
        // Nothing of it: what was signed says so, and nobody but this node's key could bring it later.
        if (p.authorization.value == "0") return check_signature(p, [tell](result<void> good) {
            if (!good && good.error().code == "rail_unknown") return tell({moved::unknown, {}, good.error()});
            tell(good ? settle_answer{moved::yes, {}, {}} : settle_answer{moved::no, {}, good.error()});
        });
        const auto id = id_of(p.authorization);
        if (lanes_->under_way(id)) return lanes_->wait(id, answering(p, std::move(tell)));
        check_spending(p, [self = shared_from_this(), p, id, tell](result<use> u) {
            if (!u && u.error().code != "not_used") return tell({u.error().code == "rail_unknown" ? moved::unknown : moved::no, {}, u.error()});
            if (u) return tell(answer_of(*u));
            self->send(id, p, tell);
        });
    }

    // -- looking ------------------------------------------------------------------------------------------------------------

    // At the newest block that lies deep enough, as every look-up of the rail's.
    void look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) {
        if (!p2::nonce_of(a.nonce)) return tell({});
        evm_looks::deep_block(on_, rail_.gas.confirmations, [self = shared_from_this(), a, tell](result<evm::block> b, std::uint64_t) {
            if (!b) return tell({});
            self->is_used(a, b->number, [self, a, tell, b = *b](result<bool> used) {
                const auto as_of = evm_looks::at_second(b.time_s);
                if (!used) return tell({});
                if (a.value == "0") return tell({moved::yes, {}, as_of, false, 0}); // of nothing there is no transaction
                if (!*used) return tell({moved::no, {}, as_of});
                self->find_use(a, b.number, [tell, as_of](result<use> u) {
                    if (!u || u->how == moved::unknown) return tell({});
                    tell({u->how, u->transaction, as_of, u->how == moved::no, u->value});
                });
            });
        });
    }

    // -- judging ------------------------------------------------------------------------------------------------------------

    void check(const x402::payment& p, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)> tell) {
        if (const auto terms = p2::check_terms(p, offered, lanes_->signers(), now); !terms) {
            // It may have been brought while there was time, and whoever is paid asks the rail about it: but for nobody who has not signed it.
            if (terms.error().code != "permit2_deadline_expired") return tell(terms.error());
            return check_signature(p.payload, [tell, why = terms.error()](result<void> good) { tell(good ? why : good.error()); });
        }
        if (lower(offered.asset) != asset_) return tell(refusal{"asset_not_allowed", "this rail moves " + rail_.token.contract + " and nothing else"});
        on_->code(asset_, [self = shared_from_this(), paid = p.payload, tell](result<std::string> code) {
            if (!code) return tell(refusal{"rail_unknown", code.error().text});
            if (code->empty()) return tell(refusal{"asset_not_deployed_contract", "there is no contract at " + self->asset_});
            self->check_signature(paid, [self, paid, tell](result<void> good) {
                if (!good) return tell(good.error());
                // All that is permitted, as the official one tries it.
                self->simulate(paid, paid.permit2Authorization->permitted.amount, [paid, tell](result<void> would) {
                    if (!would) return tell(would.error());
                    if (const auto much = p2::check_amount(paid); !much) return tell(much.error());
                    tell(crypto::checksummed(paid.permit2Authorization->from));
                });
            });
        });
    }

private:
    // What became of a nonce, as the chain has it.
    struct use {
        moved how = moved::unknown; // no: something else was moved by it, or its owner made it void
        std::string transaction;
        std::uint64_t block = 0;
        std::optional<amount> value;
    };

    static std::string id_of(const x402::authorization& a) { return "pay/" + lower(a.from) + '/' + lower(a.nonce); }
    bool ours(const std::string& signer) const { return std::find(lanes_->signers().begin(), lanes_->signers().end(), lower(signer)) != lanes_->signers().end(); }
    static settle_answer answer_of(const use& u) {
        if (u.how == moved::yes) return {moved::yes, u.transaction, {}};
        if (u.how == moved::no) return {moved::no, {}, {used_code, "its nonce was spent on another transfer, or made void"}};
        return {moved::unknown, {}, {"rail_unknown", "it was used; where, the node does not show"}};
    }

    void check_signature(const x402::exact_payload& p, std::function<void(result<void>)> tell) {
        const auto digest = p2::digest_of(rail_.token.chain_id, *p.permit2Authorization);
        if (!digest) return tell(refusal{"invalid_payload", digest.error().text});
        evm_looks::check_signature(on_, p.permit2Authorization->from, *digest, p.signature, [tell](result<void> good) {
            if (!good && good.error().code == "not_signed") return tell(refusal{"invalid_permit2_signature", good.error().text});
            tell(std::move(good));
        });
    }

    // -- what the contracts would say

    std::string brought_by(const x402::permit2_authorization& p) const {
        if (p2::is_upto(p)) return lower(*p.witness.facilitator);
        return lanes_->signers().empty() ? std::string(42, '0').replace(1, 1, "x") : lanes_->signers().front();
    }
    void simulate(const x402::exact_payload& p, const std::string& value, std::function<void(result<void>)> tell) {
        const auto& permit = *p.permit2Authorization;
        const auto data = settle_of(p, value);
        if (!data) return tell(refusal{"invalid_payload", data.error().text});
        on_->call(brought_by(permit), lower(permit.spender), *data, std::nullopt, [self = shared_from_this(), p, value, tell](result<evm::called> c) {
            if (!c) return tell(refusal{"rail_unknown", c.error().text});
            if (c->reverted) return self->diagnose(p, value, evm::abi::revert_reason(c->data), tell);
            self->deployed(p, [tell](result<void> there) { tell(std::move(there)); }); // what is no contract refuses nothing
        });
    }
    void deployed(const x402::exact_payload& p, std::function<void(result<void>)> then) {
        on_->call({}, lower(p.permit2Authorization->spender), p2::proxy_query(), std::nullopt, [then](result<evm::called> c) {
            if (!c) return then(refusal{"rail_unknown", c.error().text});
            const auto at = answered(c);
            if (!at || !crypto::same_address(evm::address_of(*at), p2::contract)) return then(refusal{"permit2_proxy_not_deployed", "there is no such proxy on this chain"});
            then({});
        });
    }
    // Why it was reverted: asked one by one, as any node can be, and first whether it is used, for then nothing else matters.
    void diagnose(const x402::exact_payload& p, const std::string& value, std::string said, std::function<void(result<void>)> tell) {
        const auto self = shared_from_this();
        on_->head([self, p, value, said, tell](result<evm::block> head) {
            if (!head) return tell(refusal{"rail_unknown", head.error().text});
            self->is_used(p.authorization, head->number, [self, p, value, said, tell](result<bool> used) {
                if (!used) return tell(used.error());
                if (*used) return tell(refusal{used_code, "this permit is used, or made void"});
                self->deployed(p, [self, p, value, said, tell](result<void> there) {
                    if (!there) return tell(there);
                    self->at_least(value, evm::token::balance_of(p.authorization.from), {"permit2_insufficient_balance", "the payer's balance is too small"}, [self, p, value, said, tell](result<void> has) {
                        if (!has) return tell(has);
                        self->at_least(value, evm::token::allowance(p.authorization.from, p2::contract), {"permit2_allowance_required", "the payer has not approved that much to Permit2"},
                                       [said, tell](result<void> may) { tell(may ? result<void>(refusal{"permit2_simulation_failed", said}) : may); });
                    });
                });
            });
        });
    }
    void at_least(const std::string& value, const result<std::string>& question, refusal why, std::function<void(result<void>)> then) {
        if (!question) return then(refusal{"invalid_payload", question.error().text});
        on_->call({}, asset_, *question, std::nullopt, [much = *evm::uint256(value), why, then](result<evm::called> c) {
            if (!c) return then(refusal{"rail_unknown", c.error().text});
            const auto has = answered(c);
            then(has && *has < much ? result<void>(why) : result<void>());
        });
    }
    static result<std::string> settle_of(const x402::exact_payload& p, std::string_view value) {
        const auto inner = evm_looks::inner_signature(p.signature);
        if (!inner) return inner;
        return p2::settle_call(*p.permit2Authorization, value, *inner);
    }

    // -- what became of a nonce

    // Nothing is used where there is no Permit2. Code "rail_unknown".
    void is_used(const x402::authorization& a, std::uint64_t at, std::function<void(result<bool>)> then) {
        const auto nonce = p2::nonce_of(a.nonce);
        const auto call = nonce ? p2::nonces_query(a.from, *nonce) : result<std::string>(nonce.error());
        if (!call) return then(refusal{"rail_unknown", call.error().text});
        on_->call({}, contract_, *call, at, [nonce = *nonce, then](result<evm::called> c) {
            if (!c || c->reverted) return then(refusal{"rail_unknown", c ? "Permit2 does not say what is used" : c.error().text});
            if (c->data.empty()) return then(false);
            const auto used = p2::is_used(c->data, nonce);
            then(used ? result<bool>(*used) : result<bool>(refusal{"rail_unknown", used.error().text}));
        });
    }
    // "not_used", and then the signature is good; a use, whoever brought it about; "rail_unknown"; or why it can never be.
    void check_spending(const x402::exact_payload& p, std::function<void(result<use>)> then) {
        on_->head([self = shared_from_this(), p, then](result<evm::block> head) {
            if (!head) return then(refusal{"rail_unknown", head.error().text});
            self->is_used(p.authorization, head->number, [self, p, then, head = *head](result<bool> used) {
                if (!used) return then(used.error());
                if (*used)
                    return self->find_use(p.authorization, head.number, [then, head, depth = static_cast<std::uint64_t>(std::max<std::int64_t>(self->rail_.gas.confirmations, 1))](result<use> u) {
                        // Somebody brought it, in a block that may yet be dropped: then it never was.
                        if (u && u->how != moved::unknown && u->block + depth > head.number + 1) return then(refusal{"rail_unknown", "it was used, in a block that is not deep enough yet"});
                        then(std::move(u));
                    });
                if (const auto end = evm::small(*evm::uint256(p.permit2Authorization->deadline)); end && *end < head.time_s)
                    return then(refusal{"permit2_deadline_expired", "the permit has expired"});
                self->check_signature(p, [then](result<void> good) { then(good ? refusal{"not_used", {}} : good.error()); });
            });
        });
    }
    // By a transfer of the payer's whose transaction was this permit's settlement; first among those to the payee, for it was his if all is well. An
    // empty `to` or `value` stands for any.
    void find_use(const x402::authorization& a, std::uint64_t newest, std::function<void(result<use>)> then) {
        const auto nonce = p2::nonce_of(a.nonce);
        const auto from = evm::address_word(a.from);
        if (!nonce || !from) return then(refusal{"rail_unknown", "no such nonce"});
        std::optional<std::string> to;
        if (const auto w = evm::address_word(a.to)) to = evm::to_hex_text(*w);
        // Spent on another token, whose transfers are not looked at: then what of ours is moved in the same transaction was moved by something else.
        const auto elsewhere = std::make_shared<bool>(false);
        const auto is_it = [on = on_, payer = lower(a.from), nonce = *nonce, asset = asset_, elsewhere](const evm::log& l, std::function<void(result<bool>)> tell) {
            on->transaction_of(l.transaction, [payer, nonce, asset, elsewhere, l, tell](result<std::optional<evm::sent>> t) {
                if (!t || !*t) return tell(refusal{"rail_unknown", t ? "a transaction that the node has logs of, and does not show" : t.error().text});
                const auto asked = p2::read_settle((*t)->to, (*t)->data);
                if (!asked || asked->owner != payer || asked->nonce != nonce) return tell(false);
                *elsewhere = asked->token != asset;
                const auto to = evm::address_word(asked->to);
                tell(*elsewhere || (l.topics.size() == 3 && to && l.topics[2] == evm::to_hex_text(*to) && l.data == asked->value));
            });
        };
        const evm_looks::span within{rail_.search_back, rail_.search_step};
        const evm::log_filter any{asset_, {evm::token::transferred(), evm::to_hex_text(*from)}, 0, 0};
        auto to_him = any;
        if (to) to_him.topics.emplace_back(*to);
        const auto judge = [a, to, elsewhere](const evm::log& l) {
            if (*elsewhere) return use{moved::no, l.transaction, l.block, std::nullopt};
            const auto wanted = evm::uint256(a.value);
            const bool same = l.topics.size() == 3 && (!to || l.topics[2] == *to) && (a.value.empty() || (wanted && l.data == *wanted));
            return use{same ? moved::yes : moved::no, l.transaction, l.block, l.data.size() == 32 ? amount_in(l.data) : std::nullopt};
        };
        evm_looks::find_log(on_, to_him, newest, within, options_.most_looks, is_it, [self = shared_from_this(), any, is_it, judge, to, newest, within, nonce = *nonce, from = *from, then](result<std::optional<evm::log>> l) {
            if (!l) return then(l.error());
            if (*l) return then(judge(**l));
            const auto made_void = [self, newest, within, nonce, from, then] {
                const evm::log_filter voids{self->contract_, {p2::invalidated(), evm::to_hex_text(from)}, 0, 0};
                evm_looks::find_log(self->on_, voids, newest, within, self->options_.most_looks, [nonce](const evm::log& v, std::function<void(result<bool>)> tell) { tell(p2::voids(v.data, nonce)); },
                                    [then](result<std::optional<evm::log>> v) {
                                        if (!v) return then(v.error());
                                        then(*v ? use{moved::no, (*v)->transaction, (*v)->block, std::nullopt} : use{});
                                    });
            };
            if (!to) return made_void();
            evm_looks::find_log(self->on_, any, newest, within, self->options_.most_looks, is_it, [judge, made_void, then](result<std::optional<evm::log>> other) {
                if (!other) return then(other.error());
                if (*other) return then(judge(**other));
                made_void();
            });
        });
    }

    // -- the lanes

    key_lanes::tell answering(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        return [self = shared_from_this(), p, tell = std::move(tell)](const key_lanes::landed& l) {
            if (l.at && l.at->succeeded) {
                if (!p2::is_upto(*p.permit2Authorization)) return tell({moved::yes, l.at->hash, {}});
                return self->compare(p, l.at->hash, tell);
            }
            if (!l.at && !l.refused) return tell({moved::unknown, {}, l.why});
            self->conclude(p, tell);
        };
    }
    // A permit of at most so much has one transaction, whatever amounts it is asked for: was it this one?
    void compare(const x402::exact_payload& p, const std::string& hash, std::function<void(settle_answer)> tell) {
        on_->receipt_of(hash, [p, hash, asset = asset_, tell](result<std::optional<evm::receipt>> r) {
            if (!r || !*r) return tell({moved::unknown, {}, {"rail_unknown", r ? "its receipt is not there any more" : r.error().text}});
            const auto expected = expects(p, asset);
            const bool moved_so = std::any_of((*r)->logs.begin(), (*r)->logs.end(), [&](const evm::log& l) { return l.address == expected.address && l.topics == expected.topics && l.data == expected.data.data; });
            tell(moved_so ? settle_answer{moved::yes, hash, {}} : settle_answer{moved::no, {}, {used_code, "another amount of it was settled"}});
        });
    }
    static lane::expected_log expects(const x402::exact_payload& p, const std::string& asset) {
        const auto& a = p.authorization;
        return {asset, {evm::token::transferred(), evm::to_hex_text(*evm::address_word(a.from)), evm::to_hex_text(*evm::address_word(a.to))}, *evm::uint256(a.value)};
    }
    void send(const std::string& id, const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        const auto data = settle_of(p, p.authorization.value);
        if (!data) return tell({moved::no, {}, {"invalid_payload", data.error().text}});
        lane::job j;
        j.id = id, j.to = lower(p.permit2Authorization->spender), j.data = *data, j.most_gas = options_.most_gas, j.expects = expects(p, asset_);
        const auto end = evm::small(*evm::uint256(p.permit2Authorization->deadline));
        j.not_after = evm_looks::at_second(end ? *end : std::numeric_limits<std::uint64_t>::max());
        // Of one that names who settles it, that key's lane alone can.
        const auto by = p2::is_upto(*p.permit2Authorization) ? lower(*p.permit2Authorization->witness.facilitator) : std::string();
        lanes_->land(std::move(j), answering(p, std::move(tell)), by);
    }
    // It was refused or reverted. Somebody else may have brought the same permit; only the chain knows.
    void conclude(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        check_spending(p, [self = shared_from_this(), p, tell](result<use> u) {
            if (u) return tell(answer_of(*u));
            if (u.error().code == "rail_unknown") return tell({moved::unknown, {}, u.error()});
            if (u.error().code != "not_used") return tell({moved::no, {}, u.error()});
            self->simulate(p, p.authorization.value, [tell](result<void> would) {
                if (!would && would.error().code != "rail_unknown") return tell({moved::no, {}, would.error()});
                tell({moved::unknown, {}, {"rail_unknown", "it did not go through, and should: asked again"}});
            });
        });
    }

    const evm_permits_options options_;
    const evm_rail_options rail_;
    const std::shared_ptr<evm::chain> on_;
    const std::shared_ptr<key_lanes> lanes_;
    const std::string asset_, contract_;
};

evm_permits::evm_permits(evm_rail& rail, evm_permits_options o) : rail_(rail), impl_(std::make_shared<impl>(rail, o)) {}
evm_permits::~evm_permits() = default;

std::string evm_permits::network() const { return rail_.network(); }
x402::domain evm_permits::token() const { return rail_.token(); }
std::string evm_permits::asset() const { return rail_.asset(); }
std::vector<std::string> evm_permits::signers() const { return rail_.signers(); }
void evm_permits::settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
    p.permit2Authorization ? impl_->settle(p, std::move(tell)) : rail_.settle(p, std::move(tell));
}
void evm_permits::look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) { by_permit(a) ? impl_->look_up(a, std::move(tell)) : rail_.look_up(a, std::move(tell)); }
std::string evm_permits::on_its_way(const x402::authorization& a) const { return rail_.on_its_way(a); }
void evm_permits::balance(const std::string& address, std::function<void(result<amount>)> tell) { rail_.balance(address, std::move(tell)); }
void evm_permits::check(const x402::payment& p, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)> tell) {
    p.payload.permit2Authorization || offered.scheme == "upto" ? impl_->check(p, offered, now, std::move(tell)) : rail_.check(p, offered, now, std::move(tell));
}

} // namespace souk
