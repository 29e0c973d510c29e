#include <souk/actors/payments/evm_rail.hpp>

#include <algorithm>
#include <limits>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/payments/evm_looks.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/in_a_row.hpp>
#include <souk/messages/evm/token.hpp>

namespace souk {

namespace token = evm::token;

namespace {

std::string topic_of(const evm::word& w) { return evm::to_hex_text(w); }

std::optional<evm::word> word_in(const result<evm::called>& c) {
    if (!c || c->reverted) return std::nullopt;
    auto w = evm::abi::word_at(c->data, 0);
    return w ? std::optional(std::move(*w)) : std::nullopt;
}

// What became of a nonce, as the chain's logs have it.
struct use {
    moved how = moved::unknown; // no: it went with something else, or was cancelled
    std::string transaction;
    std::uint64_t block = 0;
};

} // namespace

class evm_rail::impl : public std::enable_shared_from_this<impl> {
public:
    impl(caf::actor_system& sys, evm_rail_options o, journal& log, std::shared_ptr<evm::chain> on, std::vector<crypto::secret> keys)
        : options_(std::move(o)), on_(on), asset_(lower(options_.token.contract)),
          lanes_(std::make_shared<key_lanes>(sys, lanes_of(options_, asset_), log, on, std::move(keys))) {
        lanes_->start();
    }

    static lanes_options lanes_of(const evm_rail_options& o, const std::string& asset) {
        lanes_options l{o.network + '/' + asset, o.gas, o.now, o.trouble, {}};
        if (o.books) l.changed = [books = o.books](const std::string& key, const lane::state& s, const std::vector<lane::event>& events) { books->changed(key, s, events); };
        return l;
    }
    const std::shared_ptr<key_lanes>& lanes() const { return lanes_; }
    const std::shared_ptr<evm::chain>& chain() const { return on_; }
    const evm_rail_options& options() const { return options_; }
    static std::string id_of(const x402::authorization& a) { return "pay/" + lower(a.from) + '/' + lower(a.nonce); }

    // -- settling -----------------------------------------------------------------------------------------------------------

    void settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        const auto no = [&tell](refusal why) { tell({moved::no, {}, std::move(why)}); };
        const auto& a = p.authorization;
        if (const auto words = x402::words_of(a); !words) return no({"invalid_payload", words.error().text});
        if (lanes_->signers().empty()) return no({"rail_reads_only", "this node has no key that settles"});
        const auto id = id_of(a);
        if (lanes_->under_way(id)) return lanes_->wait(id, answering(p, std::move(tell)));
        check_spending(p, options_.now(), [self = shared_from_this(), p, id, tell](result<use> u) {
            if (!u && u.error().code != "not_used") return tell(u.error().code == "rail_unknown" ? settle_answer{moved::unknown, {}, u.error()} : settle_answer{moved::no, {}, u.error()});
            if (u) return tell(self->answer_of(*u));
            self->send(id, p, tell);
        });
    }

    // -- looking ------------------------------------------------------------------------------------------------------------

    // At the newest block that lies deep enough: what is said of it holds, and its time is the rail's.
    void look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) {
        const auto call = token::authorization_state(a.from, a.nonce);
        if (!call) return tell({});
        evm_looks::deep_block(on_, options_.gas.confirmations, [self = shared_from_this(), a, call = *call, tell](result<evm::block> b, std::uint64_t) {
            if (!b) return tell({});
            self->on_->call({}, self->asset_, call, b->number, [self, a, tell, b = *b](result<evm::called> c) {
                const auto as_of = evm_looks::at_second(b.time_s);
                const auto used = used_in(c);
                if (!used) return tell({});
                if (!*used) return tell({moved::no, {}, as_of});
                self->find_use(a, b.number, [tell, as_of](result<use> u) {
                    if (!u || u->how == moved::unknown) return tell({});
                    tell({u->how, u->transaction, as_of, u->how == moved::no});
                });
            });
        });
    }
    void balance(const std::string& address, std::function<void(result<amount>)> tell) {
        const auto call = token::balance_of(address);
        if (!call) return tell(call.error());
        on_->call({}, asset_, *call, std::nullopt, [tell](result<evm::called> c) {
            const auto word = word_in(c);
            if (!word) return tell(refusal{"rail_unknown", c ? "the token does not say what it holds" : c.error().text});
            const auto n = evm::small(*word);
            tell(n ? static_cast<amount>(std::min<std::uint64_t>(*n, std::numeric_limits<amount>::max())) : std::numeric_limits<amount>::max());
        });
    }

    // -- judging ------------------------------------------------------------------------------------------------------------

    void check(const x402::payment& p, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)> tell) {
        const auto d = x402::check_subject(p, offered);
        if (!d) return tell(d.error());
        check_signature(p.payload, *d, [self = shared_from_this(), p, offered, now, tell](result<void> good) {
            if (!good) return tell(good.error());
            if (const auto terms = x402::check_terms(p.payload.authorization, offered, now); !terms) return tell(terms.error());
            if (lower(offered.asset) != self->asset_) return tell(refusal{"asset_not_allowed", "this rail moves " + self->options_.token.contract + " and nothing else"});
            self->simulate(p.payload, [payer = p.payload.authorization.from, tell](result<void> would) {
                if (!would) return tell(would.error());
                tell(crypto::checksummed(payer));
            });
        });
    }

    void gas_of(std::vector<lane_view> all, std::size_t at, std::function<void(std::vector<lane_view>)> tell) const {
        if (at == all.size()) return tell(std::move(all));
        const auto who = all[at].signer;
        on_->balance(who, [self = shared_from_this(), all = std::move(all), at, tell](result<evm::word> wei) mutable {
            if (wei) all[at].gas = evm::to_decimal(*wei);
            self->gas_of(std::move(all), at + 1, std::move(tell));
        });
    }

private:
    static std::optional<bool> used_in(const result<evm::called>& c) {
        const auto word = word_in(c);
        if (!word) return std::nullopt;
        return word->find_first_not_of('\0') != evm::word::npos;
    }
    static settle_answer answer_of(const use& u) {
        if (u.how == moved::yes) return {moved::yes, u.transaction, {}};
        if (u.how == moved::no) return {moved::no, {}, {"invalid_exact_evm_nonce_already_used", "its nonce was spent on another transfer, or cancelled"}};
        return {moved::unknown, {}, {"rail_unknown", "it was used; where, the node does not show"}};
    }

    // -- signatures

    void check_signature(const x402::exact_payload& p, const x402::domain& d, std::function<void(result<void>)> tell) {
        const auto digest = x402::digest_of(d, p.authorization);
        if (!digest) return tell(refusal{"invalid_payload", digest.error().text});
        evm_looks::check_signature(on_, p.authorization.from, *digest, p.signature, [self = shared_from_this(), p, digest = *digest, tell](result<void> good) {
            if (!good && good.error().code == "not_signed") return tell(refusal{"invalid_exact_evm_signature", good.error().text});
            if (!good && good.error().code == "eip6492_factory_not_allowed") return self->check_undeployed(p, digest, tell);
            tell(std::move(good));
        });
    }
    // Of a wallet that is not there yet: what it would say once its factory has made it.
    void check_undeployed(const x402::exact_payload& p, const std::string& digest, std::function<void(result<void>)> tell) {
        const auto signature = evm::bytes_of(p.signature, evm::any_size);
        const auto w = signature ? token::unwrap(*signature) : result<token::wrapped>(signature.error());
        if (!w) return tell(refusal{"invalid_exact_evm_signature", w.error().text});
        if (!allowed(w->factory)) return tell(refusal{"eip6492_factory_not_allowed", "the payer's wallet is not deployed, and " + w->factory + " is not asked to deploy one"});
        const auto asked = token::is_valid_signature(digest, w->inner);
        const auto all = asked ? evm::calls_in_a_row({{w->factory, w->deploy}, {p.authorization.from, *asked}}) : asked;
        if (!all) return tell(refusal{"invalid_exact_evm_signature", all.error().text});
        on_->call(from_whom(), {}, *all, std::nullopt, [tell](result<evm::called> c) {
            if (!c) return tell(refusal{"rail_unknown", c.error().text});
            if (c->reverted || !token::is_yes(c->data)) return tell(refusal{"invalid_exact_evm_signature", "the payer's contract, once deployed, would not take this signature as its own"});
            tell({});
        });
    }
    bool allowed(const std::string& factory) const {
        return std::find(options_.wallet_factories.begin(), options_.wallet_factories.end(), lower(factory)) != options_.wallet_factories.end();
    }
    // How the payer's wallet comes to be, where that is to be seen to first; none: it is there, or nobody may make it.
    void to_deploy(const x402::exact_payload& p, std::function<void(result<std::optional<token::wrapped>>)> then) {
        const auto signature = evm::bytes_of(p.signature, evm::any_size);
        auto w = signature && token::is_wrapped(*signature) ? token::unwrap(*signature) : result<token::wrapped>(refusal{});
        if (!w || !allowed(w->factory)) return then(std::optional<token::wrapped>());
        on_->code(p.authorization.from, [w = std::move(*w), then](result<std::string> code) {
            if (!code) return then(refusal{"rail_unknown", code.error().text});
            then(code->empty() ? std::optional(w) : std::nullopt);
        });
    }

    // -- what the token would say

    std::string from_whom() const { return lanes_->signers().empty() ? std::string(42, '0').replace(1, 1, "x") : lanes_->signers().front(); }

    void simulate(const x402::exact_payload& p, std::function<void(result<void>)> tell) {
        on_->code(asset_, [self = shared_from_this(), p, tell](result<std::string> code) {
            if (!code) return tell(refusal{"rail_unknown", code.error().text});
            if (code->empty()) return tell(refusal{"asset_not_deployed_contract", "there is no contract at " + self->asset_});
            const auto data = self->transfer_of(p);
            if (!data) return tell(refusal{"invalid_payload", data.error().text});
            self->to_deploy(p, [self, p, tell, data = *data](result<std::optional<token::wrapped>> first) {
                if (!first) return tell(first.error());
                const auto all = *first ? evm::calls_in_a_row({{(*first)->factory, (*first)->deploy}, {self->asset_, data}}) : result<std::string>(data);
                if (!all) return tell(refusal{"invalid_payload", all.error().text});
                self->on_->call(self->from_whom(), *first ? std::string() : self->asset_, *all, std::nullopt, [self, p, tell](result<evm::called> c) {
                    if (!c) return tell(refusal{"rail_unknown", c.error().text});
                    if (!c->reverted) return tell({});
                    self->diagnose(p.authorization, evm::abi::revert_reason(c->data), tell);
                });
            });
        });
    }
    // Why it was reverted: asked of the token one by one, as any node can be.
    void diagnose(const x402::authorization& a, std::string said, std::function<void(result<void>)> tell) {
        on_->call({}, asset_, token::authorization_state(a.from, a.nonce).value(), std::nullopt, [self = shared_from_this(), a, said, tell](result<evm::called> c) {
            if (!c) return tell(refusal{"rail_unknown", c.error().text});
            const auto used = used_in(c);
            if (!used) return tell(refusal{"invalid_exact_evm_eip3009_not_supported", "the asset does not speak EIP-3009"});
            if (*used) return tell(refusal{"invalid_exact_evm_nonce_already_used", "this authorisation is used"});
            self->compare_text(token::name(), self->options_.token.name, "invalid_exact_evm_token_name_mismatch", [self, a, said, tell](result<void> name) {
                if (!name) return tell(name);
                self->compare_text(token::version(), self->options_.token.version, "invalid_exact_evm_token_version_mismatch", [self, a, said, tell](result<void> version) {
                    if (!version) return tell(version);
                    self->on_->call({}, self->asset_, token::balance_of(a.from).value(), std::nullopt, [a, said, tell](result<evm::called> b) {
                        const auto has = word_in(b);
                        if (has && *has < *evm::uint256(a.value)) return tell(refusal{"invalid_exact_evm_insufficient_balance", "the payer's balance is too small"});
                        tell(refusal{"invalid_exact_evm_transaction_simulation_failed", said});
                    });
                });
            });
        });
    }
    void compare_text(const std::string& call, const std::string& ours, const char* code, std::function<void(result<void>)> then) {
        on_->call({}, asset_, call, std::nullopt, [ours, code, then](result<evm::called> c) {
            if (c && !c->reverted)
                if (const auto theirs = evm::abi::bytes_at(c->data, 0, 128); theirs && *theirs != ours) return then(refusal{code, "the token calls itself \"" + *theirs + "\""});
            then({});
        });
    }
    result<std::string> transfer_of(const x402::exact_payload& p) const {
        const auto inner = evm_looks::inner_signature(p.signature);
        if (!inner) return inner;
        return token::transfer_with_authorization(p.authorization, *inner);
    }

    // -- what became of a nonce

    // "not_used", and then the signature is good; a use, whoever brought it about; "rail_unknown"; or why it can never be.
    void check_spending(const x402::exact_payload& p, instant, std::function<void(result<use>)> then) {
        on_->head([self = shared_from_this(), p, then](result<evm::block> head) {
            if (!head) return then(refusal{"rail_unknown", head.error().text});
            self->on_->call({}, self->asset_, token::authorization_state(p.authorization.from, p.authorization.nonce).value(), head->number,
                            [self, p, then, head = *head](result<evm::called> c) {
                if (c && c->reverted) return then(refusal{"invalid_exact_evm_eip3009_not_supported", "the asset does not speak EIP-3009"});
                const auto used = used_in(c);
                if (!used) return then(refusal{"rail_unknown", c ? "the token's answer cannot be read" : c.error().text});
                if (*used)
                    return self->find_use(p.authorization, head.number, [then, head, depth = static_cast<std::uint64_t>(std::max<std::int64_t>(self->options_.gas.confirmations, 1))](result<use> u) {
                        // Somebody brought it, in a block that may yet be dropped: then it never was.
                        if (u && u->how != moved::unknown && u->block + depth > head.number + 1) return then(refusal{"rail_unknown", "it was used, in a block that is not deep enough yet"});
                        then(std::move(u));
                    });
                if (const auto end = evm::small(*evm::uint256(p.authorization.validBefore)); end && *end <= head.time_s)
                    return then(refusal{"invalid_exact_evm_payload_authorization_valid_before", "the authorisation has expired"});
                self->check_signature(p, self->options_.token, [then](result<void> good) { then(good ? refusal{"not_used", {}} : good.error()); });
            });
        });
    }
    void find_use(const x402::authorization& a, std::uint64_t newest, std::function<void(result<use>)> then) {
        evm_looks::find_use(on_, asset_, a.from, a.nonce, newest, {options_.search_back, options_.search_step}, [self = shared_from_this(), a, then](result<std::optional<evm::receipt>> r) {
            if (!r) return then(r.error());
            if (!*r) return then(use{});
            const auto* l = self->transfer_by((*r)->logs, a);
            then(use{l && self->is_transfer(*l, a) ? moved::yes : moved::no, (*r)->transaction, (*r)->block});
        });
    }
    // One transaction may use many authorisations, and move more besides: this one's transfer is the one that the token names next after its use. (Of a token
    // that names it before, the one before.) Else one transfer would be taken for the payment of all of them.
    const evm::log* transfer_by(const std::vector<evm::log>& logs, const x402::authorization& a) const {
        const auto payer = topic_of(*evm::address_word(a.from)), nonce = lower(a.nonce);
        const evm::log* before = nullptr;
        bool used = false;
        for (const auto& l : logs) {
            if (l.address != asset_ || l.topics.empty()) continue;
            const bool transfers = l.topics[0] == token::transferred();
            if (used) return transfers ? &l : before;
            used = l.topics.size() == 3 && l.topics[0] == token::authorization_used() && l.topics[1] == payer && lower(l.topics[2]) == nonce;
            if (!used) before = transfers ? &l : nullptr;
        }
        return used ? before : nullptr;
    }
    bool is_transfer(const evm::log& l, const x402::authorization& a) const {
        return l.address == asset_ && l.topics.size() == 3 && l.topics[0] == token::transferred() && l.topics[1] == topic_of(*evm::address_word(a.from)) &&
               (a.to.empty() || l.topics[2] == topic_of(*evm::address_word(a.to))) && (a.value.empty() || l.data == *evm::uint256(a.value));
    }

    // -- the lanes

    key_lanes::tell answering(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        return [self = shared_from_this(), p, tell = std::move(tell)](const key_lanes::landed& l) {
            if (l.at && l.at->succeeded) return tell({moved::yes, l.at->hash, {}});
            if (!l.at && !l.refused) return tell({moved::unknown, {}, l.why});
            self->conclude(p, tell);
        };
    }
    void send(const std::string& id, const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        const auto data = transfer_of(p);
        if (!data) return tell({moved::no, {}, {"invalid_payload", data.error().text}});
        lane::job j;
        j.id = id, j.to = asset_, j.data = *data, j.most_gas = options_.most_gas;
        j.expects = {asset_, {token::transferred(), topic_of(*evm::address_word(p.authorization.from)), topic_of(*evm::address_word(p.authorization.to))}, *evm::uint256(p.authorization.value)};
        const auto end = evm::small(*evm::uint256(p.authorization.validBefore));
        j.not_after = evm_looks::at_second(end ? *end : std::numeric_limits<std::uint64_t>::max());
        to_deploy(p, [self = shared_from_this(), p, j = std::move(j), tell = std::move(tell)](result<std::optional<token::wrapped>> first) {
            if (!first) return tell({moved::unknown, {}, first.error()});
            if (!*first) return self->lanes_->land(j, self->answering(p, tell));
            self->deploy(**first, j, p, tell);
        });
    }
    // The wallet first, and only for what would then be paid: its gas is this node's. Whoever deployed it meanwhile has saved us that.
    void deploy(const token::wrapped& w, const lane::job& then, const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        simulate(p, [self = shared_from_this(), w, then, p, tell](result<void> would) {
            if (!would) return tell({would.error().code == "rail_unknown" ? moved::unknown : moved::no, {}, would.error()});
            lane::job j;
            j.id = "wallet/" + lower(p.authorization.from), j.to = w.factory, j.data = w.deploy, j.most_gas = self->options_.most_gas_of_wallet, j.not_after = then.not_after;
            self->lanes_->land(std::move(j), [self, then, p, tell](const key_lanes::landed& l) {
                if (!l.at && !l.refused) return tell({moved::unknown, {}, l.why});
                self->on_->code(p.authorization.from, [self, then, p, tell, why = l.why](result<std::string> code) {
                    if (!code) return tell({moved::unknown, {}, {"rail_unknown", code.error().text}});
                    if (code->empty()) return tell({moved::no, {}, {"smart_wallet_deployment_failed", why.text.empty() ? "its factory made no wallet there" : why.text}});
                    self->lanes_->land(then, self->answering(p, tell));
                });
            });
        });
    }
    // It was refused or reverted. Somebody else may have brought the same authorisation; only the chain knows.
    void conclude(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
        check_spending(p, options_.now(), [self = shared_from_this(), p, tell](result<use> u) {
            if (u) return tell(answer_of(*u));
            if (u.error().code == "rail_unknown") return tell({moved::unknown, {}, u.error()});
            if (u.error().code != "not_used") return tell({moved::no, {}, u.error()});
            self->simulate(p, [tell](result<void> would) {
                if (!would && would.error().code != "rail_unknown") return tell({moved::no, {}, would.error()});
                tell({moved::unknown, {}, {"rail_unknown", "it did not go through, and should: asked again"}});
            });
        });
    }

    const evm_rail_options options_;
    const std::shared_ptr<evm::chain> on_;
    const std::string asset_;
    const std::shared_ptr<key_lanes> lanes_;
};

evm_rail::evm_rail(caf::actor_system& sys, evm_rail_options o, journal& log, std::shared_ptr<evm::chain> on, std::vector<crypto::secret> keys)
    : impl_(std::make_shared<impl>(sys, std::move(o), log, std::move(on), std::move(keys))) {}
evm_rail::~evm_rail() { close(); }
void evm_rail::close() { impl_->lanes()->close(); }

std::string evm_rail::network() const { return impl_->options().network; }
x402::domain evm_rail::token() const { return impl_->options().token; }
std::string evm_rail::asset() const { return impl_->options().token.contract; }
std::vector<std::string> evm_rail::signers() const {
    std::vector<std::string> all;
    for (const auto& l : lanes()) all.push_back(l.signer);
    return all;
}
void evm_rail::settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) { impl_->settle(p, std::move(tell)); }
void evm_rail::look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) { impl_->look_up(a, std::move(tell)); }
std::string evm_rail::on_its_way(const x402::authorization& a) const { return impl_->lanes()->newest_hash(impl_->id_of(a)); }
void evm_rail::balance(const std::string& address, std::function<void(result<amount>)> tell) { impl_->balance(address, std::move(tell)); }
void evm_rail::check(const x402::payment& p, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)> tell) {
    impl_->check(p, offered, now, std::move(tell));
}
std::vector<lane_view> evm_rail::lanes() const { return impl_->lanes()->views(); }
std::shared_ptr<key_lanes> evm_rail::keys() const { return impl_->lanes(); }
std::shared_ptr<evm::chain> evm_rail::chain() const { return impl_->chain(); }
const evm_rail_options& evm_rail::options() const { return impl_->options(); }
void evm_rail::lanes_with_gas(std::function<void(std::vector<lane_view>)> tell) const { impl_->gas_of(lanes(), 0, std::move(tell)); }

} // namespace souk
