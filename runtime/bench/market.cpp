#include <souk/runtime/bench/market.hpp>

#include <condition_variable>
#include <future>
#include <mutex>
#include <unordered_map>

#include <souk/actors/bidder/bidder.hpp>
#include <souk/actors/fleet/fleet.hpp>
#include <souk/actors/issuer/issuer.hpp>
#include <souk/actors/launcher/launcher.hpp>
#include <souk/actors/payments/payments.hpp>
#include <souk/actors/signer/signer.hpp>
#include <souk/backends/compute/sandbox.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/runtime/bench/buyer.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/clock.hpp>

namespace souk::bench {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
constexpr std::size_t buyers = 4;

struct config : caf::actor_system_config {
    config() {
        souk::add_message_types<caf::id_block::souk>(*this);
        set("logger.verbosity", caf::atom("quiet"));
    }
};

struct party { // somebody with keys and a repository
    party(const fs::path& directory, const std::string& name) : did("did:web:" + name + ".example"), keys(directory / name / "keys") {
        records = open_repository(directory / name / "records.db", did, keys.signing().copy());
        document.did = did, document.signing = {keys.signing_public()}, document.seal_key = crypto::seal_did_key(keys.seal().public32);
    }
    std::string did;
    keyring keys;
    std::unique_ptr<synced_repository> records;
    did_document document;
};

// Everyone's records where everyone is here.
class local_network final : public record_network {
public:
    void add(party& p) { all_[p.did] = &p; }
    void fetch(const strong_ref& ref, std::function<void(result<stored_record>)> then) override {
        const auto uri = at_uri::parse(ref.uri);
        if (!uri) return then(uri.error());
        const auto who = all_.find(uri->did);
        if (who == all_.end()) return then(refusal{"did_unresolved", "nobody here is " + uri->did});
        auto found = who->second->records->get(uri->collection, uri->rkey);
        if (!found) return then(refusal{"record_not_found", "there is no " + ref.uri});
        if (found->cid.text() != ref.cid) return then(refusal{"cid_mismatch", ref.uri + " has another content"});
        then(std::move(*found));
    }
    void list(const std::string& did, const std::string& collection, std::function<void(result<std::vector<stored_record>>)> then) override {
        const auto who = all_.find(did);
        if (who == all_.end()) return then(refusal{"did_unresolved", "nobody here is " + did});
        then(who->second->records->list(collection, 1000));
    }
    void keys(const std::string& did, std::function<void(result<did_document>)> then) override {
        const auto who = all_.find(did);
        if (who == all_.end()) return then(refusal{"did_unresolved", "nobody here is " + did});
        then(who->second->document);
    }

private:
    std::map<std::string, party*> all_;
};

class moments { // when something happened first, by its name
public:
    void note(const std::string& name) {
        const std::lock_guard hold(guard_);
        at_.try_emplace(name, wall());
    }
    double take(const std::string& name) { // 0: it did not
        const std::lock_guard hold(guard_);
        const auto found = at_.extract(name);
        return found.empty() ? 0 : found.mapped();
    }

private:
    std::mutex guard_;
    std::unordered_map<std::string, double> at_;
};

class watched_rail final : public payment_rail { // notes when a payment is verified and moved
public:
    watched_rail(payment_rail& real, moments& paid) : real_(real), paid_(paid) {}
    std::string network() const override { return real_.network(); }
    x402::domain token() const override { return real_.token(); }
    std::string asset() const override { return real_.asset(); }
    void settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) override {
        real_.settle(p, [this, nonce = p.authorization.nonce, tell = std::move(tell)](settle_answer a) {
            if (a.how == moved::yes) paid_.note(nonce);
            tell(std::move(a));
        });
    }
    void look_up(const x402::authorization& of, std::function<void(look_up_answer)> tell) override { real_.look_up(of, std::move(tell)); }
    void balance(const std::string& address, std::function<void(result<amount>)> tell) override { real_.balance(address, std::move(tell)); }

private:
    payment_rail& real_;
    moments& paid_;
};

class watched_backend final : public compute::backend { // notes when a launch is called for
public:
    watched_backend(std::unique_ptr<compute::backend> real, moments& called, bool adopts) : real_(std::move(real)), called_(called), adopts_(adopts) {}
    compute::ability can() const override { return real_->can(); }
    void launch(compute::order o, std::function<void(compute::launched)> tell) override {
        called_.note(o.tag);
        real_->launch(std::move(o), std::move(tell));
    }
    void look(const std::string& tag, std::function<void(compute::report)> tell) override {
        if (adopts_) return tell({compute::presence::running, std::nullopt, wall_clock()(), ""});
        real_->look(tag, std::move(tell));
    }
    void terminate(const std::string& tag, std::function<void(compute::report)> tell) override { real_->terminate(tag, std::move(tell)); }
    void list(std::function<void(result<std::vector<std::string>>)> tell) override { real_->list(std::move(tell)); }
    std::string console(const std::string& tag, std::size_t last) const override { return real_->console(tag, last); }

private:
    std::unique_ptr<compute::backend> real_;
    moments& called_;
    const bool adopts_;
};

record_note note_of(const stored_record& r) { return {r.uri.text(), r.cid.text(), encode_dag_cbor(r.value)}; }

} // namespace

// Members are destroyed from the last to the first: what actors stand on comes before the system.
class market::impl {
public:
    explicit impl(const market_options& o)
        : now_(wall_clock()), made_(make(o.directory)), alice_(o.directory, "alice"), bob_(o.directory, "bob"), log_(o.directory / "journal.db"),
          ledger_(o.directory / "ledger.db", now_), rail_(ledger_, paid_), backend_(compute::make_null(now_), called_, o.adopts) {
        network_.add(alice_), network_.add(bob_);
        if (const auto given = ledger_.fund(alice_.keys.wallet_address(), 1'000'000'000'000'000, "benchmark"); !given) throw refused(given.error());
        sys_ = std::make_unique<caf::actor_system>(config_);
        open_bob(o);
        open_alice();
        listen();
    }
    ~impl() {
        ears_.clear();
        for (const auto& who : cast_) caf::anon_send_exit(caf::actor_cast<caf::actor>(who), caf::exit_reason::user_shutdown);
        cast_.clear(), shoppers_.clear();
        bidder_ = nullptr, launcher_ = nullptr, issuer_ = nullptr;
    }

    template <class Answer, class Role, class Question>
    Answer answer_of(const Role& role, Question q) {
        std::promise<result<Answer>> answer;
        ask<Answer>(*sys_, role, 30s, std::move(q), [&](result<Answer> a) { answer.set_value(std::move(a)); });
        auto said = answer.get_future().get();
        if (!said) throw refused(said.error());
        return std::move(*said);
    }
    std::size_t machines() { return answer_of<machine_list>(launcher_, machine_query{}).all.size(); }
    void settle_in() { (void)answer_of<contract_list>(bidder_, contract_query{"-", false}); } // asks every shard, and finds none by that name
    std::size_t leases() { return answer_of<contract_list>(bidder_, contract_query{}).all.size(); }

    traded trade(std::size_t count, std::size_t at_once) {
        std::unique_lock hold(guard_);
        sold_.clear();
        left_ = count, under_way_ = 0;
        const auto before = log_.so_far();
        const auto from = wall(), cpu = process_cpu();
        for (std::size_t i = 0; i < std::min(at_once, count); ++i) begin_next();
        for (auto had = sold_.size(); sold_.size() < count;) {
            woken_.wait_for(hold, 30s, [&] { return sold_.size() == count || failed_; });
            if (failed_) throw std::runtime_error("a contract failed: " + failed_->code + ": " + failed_->text);
            if (sold_.size() == had) throw std::runtime_error("the market stands still with " + std::to_string(under_way_) + " contracts under way");
            had = sold_.size();
        }
        traded t;
        t.seconds = wall() - from, t.cpu = process_cpu() - cpu;
        const auto after = log_.so_far();
        t.facts = after.events - before.events, t.transactions = after.transactions - before.transactions;
        for (const auto& s : sold_) {
            t.latencies.push_back(s.seconds);
            const auto paid = paid_.take(s.nonce), called = called_.take(s.machine);
            if (paid > 0 && called > 0) t.launch_delays.push_back(called - paid);
        }
        return t;
    }

private:
    static bool make(const fs::path& directory) {
        for (const auto* name : {"alice", "bob"}) fs::create_directories(directory / name);
        return true;
    }
    template <class Handle>
    Handle cast(Handle h) {
        cast_.push_back(caf::actor_cast<caf::strong_actor_ptr>(h));
        return h;
    }

    void open_bob(const market_options& market) {
        auto& sys = *sys_;
        bidder_options o;
        o.did = bob_.did, o.door = "https://bob.example", o.now = now_;
        o.wif.issuer_uri = "https://bob.example", o.actx = "0123456789abcdef0123456789abcdef01234567";
        bidder_roles r;
        r.signer = cast(spawn_signer(sys, {bob_.did, now_}, *bob_.records, bob_.keys));
        payment_world_ = std::make_unique<payment_world>(rail_, bob_.keys.wallet_address(), bob_.keys.wallet().copy());
        payments_options p;
        p.pay_to = bob_.keys.wallet_address(), p.now = now_;
        r.payments = cast(spawn_payments(sys, std::move(p), log_, rail_, *payment_world_));
        if (market.workload_tokens) issuer_ = cast(spawn_issuer(sys, {"https://bob.example", o.actx, 900s, 3600s, now_}, bob_.keys.issuer()));
        launcher_options l;
        l.host = "bob", l.capacity = {1'000'000, 1'000'000'000, 1'000'000'000'000}, l.now = now_;
        l.token_path = "/root/token", l.url_path = "/root/base_url", l.actx_path = "/root/team_uuid", l.base_url = "https://bob.example";
        machine_world_ = std::make_unique<machine_world>(sys, l, backend_, [this] { return issuer_; });
        launcher_ = cast(spawn_launcher(sys, l, log_, backend_, *machine_world_));
        r.fleet = cast(spawn_fleet(sys, {[this] { return std::map<std::string, launcher_actor>{{"bob", launcher_}}; }}));
        lease_world_ = std::make_unique<lease_world>(sys, o, r);
        bidder_ = cast(spawn_bidder(sys, std::move(o), std::move(r), log_, network_, *lease_world_));
    }
    void open_alice() {
        const auto signer = cast(spawn_signer(*sys_, {alice_.did, now_}, *alice_.records, alice_.keys));
        for (std::size_t i = 0; i < buyers; ++i)
            shoppers_.push_back(cast(spawn_buyer(*sys_, {alice_.did, &alice_.keys, &network_, signer, bidder_, now_, [this](sold s) { finished(std::move(s)); }})));
    }
    // What the streams between the two hosts would bring.
    void listen() {
        ears_.push_back(alice_.records->listen([bidder = bidder_](const stored_record& r) { tell(bidder, note_of(r)); }));
        ears_.push_back(bob_.records->listen([this](const stored_record& r) {
            if (r.uri.collection != ccb::nsid) return;
            const auto* on = r.value.find("embed");
            const auto* record = on ? on->find("record") : nullptr;
            const auto rfp = at_uri::parse(record ? record->text("uri") : "");
            if (const auto number = rfp ? number_of(rfp->rkey) : std::nullopt) tell(shopper(*number), note_of(r));
        }));
    }
    const buyer_actor& shopper(std::size_t number) const { return shoppers_[number % shoppers_.size()]; }

    void begin_next() { // with the guard held
        if (left_ == 0) return;
        --left_, ++under_way_;
        const auto number = next_++;
        tell(shopper(number), start_contract{number});
    }
    void finished(sold s) {
        const std::lock_guard hold(guard_);
        --under_way_;
        if (s.failed) failed_ = s.failed, left_ = 0;
        sold_.push_back(std::move(s));
        begin_next();
        woken_.notify_one();
    }

    std::function<instant()> now_;
    bool made_;
    party alice_, bob_;
    local_network network_;
    sqlite_journal log_;
    moments paid_, called_;
    embedded_ledger ledger_;
    watched_rail rail_;
    watched_backend backend_;
    std::unique_ptr<payment_world> payment_world_;
    std::unique_ptr<machine_world> machine_world_;
    std::unique_ptr<lease_world> lease_world_;
    std::mutex guard_;
    std::condition_variable woken_;
    std::vector<sold> sold_;
    std::optional<refusal> failed_;
    std::size_t left_ = 0, under_way_ = 0, next_ = 0;
    config config_;
    std::unique_ptr<caf::actor_system> sys_;
    issuer_actor issuer_;
    launcher_actor launcher_;
    bidder_actor bidder_;
    std::vector<buyer_actor> shoppers_;
    std::vector<caf::strong_actor_ptr> cast_;
    std::vector<std::shared_ptr<void>> ears_;
};

market::market(market_options o) : impl_(std::make_unique<impl>(o)) {}
market::~market() = default;
std::size_t market::machines() const { return impl_->machines(); }
void market::settle_in() const { impl_->settle_in(); }
std::size_t market::leases() const { return impl_->leases(); }
traded market::trade(std::size_t count, std::size_t at_once) { return impl_->trade(count, at_once); }

} // namespace souk::bench
