#include <souk/runtime/rails.hpp>

#include <spdlog/spdlog.h>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/payments/evm_channels.hpp>
#include <souk/actors/payments/evm_escrow.hpp>
#include <souk/actors/payments/evm_permits.hpp>
#include <souk/actors/payments/permit_allowance.hpp>
#include <souk/backends/evm/json_rpc.hpp>
#include <souk/backends/evm/quorum.hpp>
#include <souk/backends/rails/facilitator.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/backends/rails/remote_ledger.hpp>
#include <souk/messages/money.hpp>

namespace souk {

using namespace std::chrono_literals;

rails::rails(const node_config& c, const keyring& keys, journal& log, http::client& web, std::function<instant()> now, on_trouble trouble)
    : c_(c), keys_(keys), log_(log), web_(web), now_(std::move(now)), trouble_(std::move(trouble)) {}
rails::~rails() = default;

std::string rails::asset_of(const node_config& c) {
    if (c.ledger || !c.wallet_ledger.empty()) return book::token_of(std::string(x402::development_network), development_token().contract);
    return c.chain ? book::token_of(c.chain->network, c.chain->asset) : std::string();
}

void rails::open(caf::actor_system& sys, std::shared_ptr<bookkeeper> books) {
    sys_ = &sys;
    if (c_.ledger) {
        ledger_ = std::make_unique<embedded_ledger>(c_.directory / "ledger.db", now_);
        for (const auto& [address, units] : c_.funds) {
            const auto sum = from_decimal(units);
            if (!sum) throw refused(sum.error());
            if (const auto given = ledger_->fund(address, *sum, "configuration"); !given) throw refused(given.error());
        }
        payments_ = ledger_.get(), channels_ = ledger_.get(), escrow_ = ledger_.get();
    } else if (!c_.wallet_ledger.empty()) {
        remote_ledger_ = make_remote_ledger(web_, c_.wallet_ledger, now_);
        payments_ = remote_ledger_.get(), channels_ = remote_ledger_.get(), escrow_ = remote_ledger_.get();
    } else if (c_.chain) {
        payments_ = open_chain(sys, *c_.chain, std::move(books));
    }
    if (payments_) (void)keys_.wallet(); // a passphrase that does not open it is known now, not when something is to be paid
}

payment_rail* rails::open_chain(caf::actor_system& sys, const chain_rail& r, std::shared_ptr<bookkeeper> books) {
    const auto number = x402::chain_of(r.network).value();
    std::vector<std::shared_ptr<evm::chain>> nodes;
    for (const auto& url : r.nodes) nodes.push_back(evm::make_json_rpc(http::fetcher_of(web_), {url, number, {r.headers.begin(), r.headers.end()}, 8s}));
    evm::quorum_options q;
    q.agree = static_cast<std::size_t>(r.agree), q.now = now_;
    q.trouble = [name = c_.name](std::size_t i, const refusal& why) { spdlog::debug("{}: the chain's node {}: {}: {}", name, i + 1, why.code, why.text); };
    evm_rail_options o;
    o.network = r.network, o.token = {r.token, r.token_version, number, r.asset}, o.now = now_, o.trouble = trouble_, o.books = std::move(books);
    o.most_gas = r.most_gas, o.wallet_factories = r.wallet_factories, o.most_gas_of_wallet = r.most_gas_of_wallet;
    o.gas.confirmations = r.confirmations, o.gas.watched = r.watched, o.gas.most_fee = r.most_fee_gwei * 1'000'000'000;
    const bool settled_here = r.facilitator.empty();
    std::vector<crypto::secret> keys; // whoever only pays needs none: the seller brings it to the chain
    if (settled_here && (c_.roles.contains("payments") || c_.channels.pay || c_.escrow.on)) // a payer withdraws from channels himself, and has his escrow
        for (std::int64_t i = 0; i < r.signers; ++i) keys.push_back(keys_.settling(static_cast<std::size_t>(i)));
    evm_rail_ = std::make_unique<evm_rail>(sys, std::move(o), log_, evm::make_quorum(std::move(nodes), std::move(q)), std::move(keys));
    evm_permits_ = std::make_unique<evm_permits>(*evm_rail_, evm_permits_options{});
    if (!settled_here) {
        facilitator_options f;
        f.url = r.facilitator, f.headers = {r.facilitator_headers.begin(), r.facilitator_headers.end()}, f.now = now_;
        facilitated_ = make_facilitator_rail(http::fetcher_of(web_), std::move(f), *evm_permits_);
        return facilitated_.get();
    }
    evm_channels_options ch;
    ch.place.chain = number;
    if (!c_.channels.contract.empty()) ch.place.contract = c_.channels.contract;
    if (!c_.channels.collector.empty()) ch.place.collector = c_.channels.collector;
    evm_channels_ = std::make_unique<evm_channels>(*evm_rail_, std::move(ch));
    channels_ = evm_channels_.get();
    if (c_.escrow.on) {
        evm_escrow_options es;
        es.place = {number, c_.escrow.contract};
        evm_escrow_ = std::make_unique<evm_escrow>(*evm_rail_, std::move(es));
        escrow_ = evm_escrow_.get();
    }
    return evm_permits_.get();
}

void rails::close() {
    if (evm_rail_) evm_rail_->close();
    const std::lock_guard hold(allowing_);
    closed_ = true;
    if (allowance_) allowance_->close();
}

crypto::secret rails::own_key() const { return sends_itself() ? keys_.settling(0) : keys_.wallet().copy(); }

std::function<void(std::function<void(value)>)> rails::lanes() const {
    if (!evm_rail_) return {};
    return [rail = evm_rail_.get()](std::function<void(value)> tell) {
        rail->lanes_with_gas([tell](const std::vector<lane_view>& all) {
            value::list keys;
            for (const auto& l : all) keys.push_back(to_value(l));
            tell(std::move(keys));
        });
    };
}

wallet_terms rails::terms() {
    wallet_terms t;
    t.ledger_at = c_.wallet_ledger;
    if (c_.chain) t.gwei_for_one = c_.chain->most_gas * c_.chain->most_fee_gwei;
    if (ledger_) t.issue = [ledger = ledger_.get()](const std::string& to, amount sum, const std::string& reason) { return ledger->fund(to, sum, reason); };
    if (evm_rail_) t.allow = [this](amount sum, std::function<void(result<value>)> tell) { allow(sum, std::move(tell)); };
    return t;
}
void rails::allow(amount sum, std::function<void(result<value>)> tell) {
    permit_allowance* all = nullptr;
    {
        const std::lock_guard hold(allowing_);
        if (closed_) return tell(refusal{"not_now", "this node is stopping"});
        if (!allowance_) allowance_ = std::make_unique<permit_allowance>(*sys_, *evm_rail_, log_, keys_.wallet());
        all = allowance_.get();
    }
    all->allow(std::to_string(sum), [tell](result<allowed> a) { a ? tell(to_value(*a)) : tell(a.error()); });
}

} // namespace souk
