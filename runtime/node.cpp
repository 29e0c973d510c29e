#include <souk/runtime/node.hpp>

#include <condition_variable>
#include <fstream>
#include <mutex>

#include <spdlog/spdlog.h>

#include <souk/actors/bidder/bidder.hpp>
#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/broker/broker.hpp>
#include <souk/actors/fleet/fleet.hpp>
#include <souk/actors/issuer/issuer.hpp>
#include <souk/actors/launcher/launcher.hpp>
#include <souk/actors/offerings/crier.hpp>
#include <souk/actors/offerings/finder.hpp>
#include <souk/actors/payments/channels.hpp>
#include <souk/actors/payments/escrow_keeper.hpp>
#include <souk/actors/payments/payments.hpp>
#include <souk/actors/policy/association.hpp>
#include <souk/actors/policy/policy.hpp>
#include <souk/actors/requester/requester.hpp>
#include <souk/actors/signer/signer.hpp>
#include <souk/backends/compute/qemu.hpp>
#include <souk/backends/compute/sandbox.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/backends/records/plc_account.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/backends/tunnel/broker.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/runtime/account.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/runtime/cluster/cluster.hpp>
#include <souk/runtime/cluster/enrolment.hpp>
#include <souk/runtime/cluster/system.hpp>
#include <souk/runtime/control.hpp>
#include <souk/runtime/doors.hpp>
#include <souk/runtime/offering_reader.hpp>
#include <souk/runtime/rails.hpp>
#include <souk/runtime/record_streams.hpp>
#include <souk/runtime/who.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
constexpr auto named_for = 10min; // twice what a node of this kind remembers an identity for

struct system_config : caf::actor_system_config {
    explicit system_config(const cluster_limits& limits) { prepare(*this, limits); }
};

void set_log_level(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

} // namespace

// Members are destroyed from the last to the first: what actors stand on is declared before the system, what feeds them after it.
class node::impl {
public:
    explicit impl(node_config config) : c_(std::move(config)), now_(wall_clock()) {
        try {
            start();
        } catch (...) { // a system whose actors live on would wait for them for ever
            shut_down();
            throw;
        }
        spdlog::info("{} is up: {}", c_.name, self_.document.did.empty() ? "no identity" : self_.document.did);
    }
    ~impl() { shut_down(); }

    int run() {
        std::unique_lock hold(guard_);
        auto tidied = std::chrono::steady_clock::now();
        while (!stopping_) {
            woken_.wait_for(hold, 500ms);
            if (self_.account) self_.account->tick(http::fetcher_of(*web_)), tell_standing(), turn_keys();
            if (streams_) streams_->look_again();
            hold.unlock();
            bring_up_books();
            hold.lock();
            if (const auto since = std::chrono::steady_clock::now(); since - tidied >= 1min) {
                hold.unlock();
                for (int i = 0; i < 100 && log_->compact(now_() - c_.keep_facts) > 0; ++i) {} // the rest a minute later
                hold.lock();
                tidied = since;
            }
            if (!log_->sound()) {
                spdlog::critical("{}: the journal can no longer be written (is the disk full?). Stopping: what was acknowledged is kept, and a restart goes on from it", c_.name);
                return 75; // EX_TEMPFAIL: start me again
            }
        }
        return 0;
    }
    void stop() {
        const std::lock_guard hold(guard_);
        stopping_ = true;
        woken_.notify_all();
    }

private:
    void start() {
        set_log_level(c_.log_level);
        fs::create_directories(c_.directory);
        fs::permissions(c_.directory, fs::perms::owner_all);
        keys_ = std::make_unique<keyring>(c_.directory / "keys", c_.passphrase);
        if (c_.identity != "none") {
            self_ = identify(c_, *keys_);
            if (const auto why = trouble_of(self_, *keys_); !why.empty()) spdlog::error("{}: {}: {}", c_.name, self_.document.did, why);
        }
        web_options_.ca_file = c_.authority, web_options_.hosts = c_.hosts, web_options_.allow_private = c_.allow_private;
        web_ = std::make_unique<http::client>(web_options_);
        if (c_.dns != "none") names_ = make_txt_lookup(c_.dns == "system" ? "" : c_.dns);
        identity_resolver::options who;
        who.plc_directory = c_.plc_directory, who.now = now_, who.names = names_.get(), who.development = c_.allow_private;
        if (!self_.document.did.empty() && c_.identity != "account") who.own = self_.document;
        for (const auto& [name, address] : c_.hosts) who.local.insert(name);
        identities_ = std::make_unique<identity_resolver>(*web_, std::move(who));
        open_records();
        if (own_) network_ = make_record_network(*own_, *identities_, *web_, c_.directory);
        log_ = std::make_unique<sqlite_journal>(c_.directory / "journal.db");
        if (c_.spending.any() || c_.spending.approve_above > 0) spending_ = std::make_shared<spending_book>(*log_, c_.spending, now_);
        open_backend();
        system_config_ = std::make_unique<system_config>(cluster_limits{});
        sys_ = std::make_unique<caf::actor_system>(*system_config_);
        open_rails();
        join_cluster();
        start_roles();
        open_streams();
        open_doors();
        if (streams_) streams_->start();
    }
    void shut_down() {
        if (hosted_) hosted_->close(); // roles are answered while there still are roles
        if (feed_) feed_->close(); // before the watches: one may be waiting to hand something over
        if (streams_) streams_->end();
        control_.reset();
        door_.reset();
        if (books_) books_->close();
        tunnels_.reset();
        for (auto& who : local_) caf::anon_send_exit(caf::actor_cast<caf::actor>(who.second), caf::exit_reason::user_shutdown);
        local_.clear();
        const auto drop = [](auto&... handles) { ((handles = std::decay_t<decltype(handles)>{}), ...); }; // else the system waits for them
        if (crier_) caf::anon_send_exit(crier_, caf::exit_reason::user_shutdown);
        if (rails_) rails_->close();
        drop(crier_, offerings_, signer_, policy_, payments_, channels_, escrow_, issuer_, launcher_, fleet_, bidder_, requester_, broker_);
        cluster_.reset();
    }

    // Embedded, or in an account elsewhere: to the roles it is the same.
    void open_records() {
        if (c_.identity == "none") return;
        const bool hosted = c_.identity == "account";
        auto kept = open_repository(c_.directory / (hosted ? "copy.db" : "records.db"), self_.document.did, keys_->signing().copy());
        if (!hosted) return shown_ = kept.get(), own_ = std::move(kept), void();
        const auto account = account_of(c_).value(); // `identify` has seen it
        tokens_ = session_file(c_, account.login);
        pds::remote_options o;
        o.collections = copied_collections(), o.look_every = c_.pds_look_every, o.now = now_;
        o.current_for = std::max<std::chrono::milliseconds>(o.current_for, 3 * o.look_every);
        o.state = [this](bool up, const std::string& why) {
            if (up) spdlog::info("{}: the account at {} is reached", c_.name, c_.pds_host), check_own_key();
            else spdlog::warn("{}: the account at {} is not reached; what is to be published waits: {}", c_.name, c_.pds_host, why);
        };
        auto session = session_of(*web_, c_, account, *tokens_, now_);
        auto remote = pds::open_remote_repository(std::move(kept), std::make_unique<pds::outbox>(c_.directory / "outbox.db"), std::move(session), std::move(o));
        hosted_ = remote.get(), shown_ = &remote->copy(), own_ = std::move(remote);
        // What was said before is needed to go on from: the first time it can only be had from the host.
        const bool first_time = own_->collections().empty();
        if (!hosted_->wait_until_current(first_time ? 20s : 3s) && first_time)
            throw std::runtime_error("the account at " + c_.pds_host + " is not reached, and nothing is known of it here yet: " + hosted_->state().why);
    }
    void check_own_key() {
        identities_->resolve(self_.document.did, [name = c_.name, key = keys_->signing_public()](const result<did_document>& d) {
            if (d && std::find(d->signing.begin(), d->signing.end(), key) == d->signing.end())
                spdlog::error("{}: {} does not name this node's key: nobody will believe what it signs. Next: souk account bind", name, d->did);
        });
    }

    void tell_standing() {
        const auto at = self_.account->look();
        if (at.how == stood_) return;
        stood_ = at.how;
        const bool fine = at.how == plc_account::standing::agrees || at.how == plc_account::standing::waiting;
        spdlog::log(fine ? spdlog::level::info : spdlog::level::warn, "{}: {} at {}: {}{}{}", c_.name, self_.document.did, c_.plc_directory, to_text(at.how), at.why.empty() ? "" : "; ", at.why);
    }
    std::optional<crypto::public_key> next_key() const {
        try {
            return keys_->next_signing();
        } catch (const std::exception&) { // a file that was put there wrongly stops the next start, not this run
            return std::nullopt;
        }
    }
    // The next signing key is put in force once the directory has named it for longer than others remember what it said before: nobody is to meet
    // a signature by a key that he does not find.
    void turn_keys() {
        const auto& own = self_.account->own();
        const auto named_at = own.all[own.head].at;
        if (turn_tried_ || !named_at || now_() - *named_at < named_for) return;
        const auto next = next_key();
        const auto& named = self_.document.signing;
        if (!next || self_.account->look().how != plc_account::standing::agrees || std::find(named.begin(), named.end(), *next) == named.end()) return;
        turn_tried_ = true;
        try {
            keys_->put_next_in_force();
        } catch (const std::exception& e) {
            return spdlog::error("{}: the next signing key stays the next one: {}", c_.name, e.what());
        }
        turned_ = true;
        spdlog::warn("{}: {} signs from the next start on: restart this node", c_.name, next->did_key());
    }

    on_trouble trouble() const {
        return [name = c_.name](const std::string& key, const std::string& effect, verdict v, const std::string& why) {
            if (v == verdict::failed) spdlog::warn("{}: {}: {} failed: {}", name, key, effect, why);
            else spdlog::debug("{}: {}: {} is not known yet: {}", name, key, effect, why);
        };
    }
    bool has(const char* role) const { return c_.roles.count(role) > 0; }

    void open_books() {
        const auto asset = rails::asset_of(c_);
        if (asset.empty()) return;
        const auto trouble = [name = c_.name](const std::string& why) { spdlog::warn("{}: books: {}", name, why); };
        books_ = std::make_shared<bookkeeper>(bookkeeper_options{now_, keys_->wallet_address(), asset, trouble}, std::make_shared<book::sqlite_store>(c_.directory / "books.db", trouble), *log_);
    }
    // What ended while nobody entered it; what was there before; what became of payments that nobody spoke of.
    void bring_up_books() {
        const auto now = std::chrono::steady_clock::now();
        if (!books_ || now < books_due_) return;
        bool more = true;
        for (int i = 0; i < 100 && more; ++i) more = books_->catch_up();
        if (!more) books_->ask(*rails_->payments());
        books_due_ = now + (more ? 0s : books_->has_opened() ? 60s : 1s);
    }
    void open_rails() {
        open_books();
        rails_ = std::make_unique<rails>(c_, *keys_, *log_, *web_, now_, trouble());
        rails_->open(*sys_, books_);
    }
    void open_backend() {
        if (!has("launcher")) return;
        if (c_.backend == "qemu") backend_ = compute::make_qemu({c_.directory / "machines", c_.image, c_.allow_emulation, c_.boot_within, now_});
        else if (c_.backend == "sandbox") backend_ = compute::make_sandbox({c_.directory / "machines", c_.boot_within, now_});
        else backend_ = compute::make_null(now_);
        const auto can = backend_->can();
        spdlog::info("{}: {} machines by {}{}{}", c_.name, can.backend, can.acceleration, can.note.empty() ? "" : "; ", can.note);
    }
    void join_cluster() {
        if (!c_.cluster) return;
        const auto files = enrolment::files_of(c_.cluster_directory);
        cluster_options o;
        o.node = c_.name, o.owner = c_.owner;
        o.authority = files.authority, o.certificate = files.certificate, o.key = files.key;
        o.address = c_.cluster->host, o.port = c_.cluster->port;
        for (const auto& [name, at] : c_.peers) o.peers.push_back({name, at.host, at.port});
        o.allowed = c_.allowed;
        cluster_ = std::make_unique<cluster>(*sys_, std::move(o), now_);
    }

    // A role of this node: found by the others from now on.
    template <class Handle>
    Handle host(const char* role, Handle who) {
        const auto at = caf::actor_cast<caf::strong_actor_ptr>(who);
        local_[role] = at;
        if (cluster_) cluster_->offer(role, at);
        return who;
    }
    // One of somebody else's: the same handle leads to it for as long as this node runs.
    template <class Handle>
    Handle role(const char* name, const std::string& owner) {
        if (const auto mine = local_.find(name); mine != local_.end()) return caf::actor_cast<Handle>(mine->second);
        return cluster_ ? cluster_->find<Handle>(name, owner) : Handle{};
    }

    souk::wif workload_terms() const {
        const std::string below = "/root/secrets/digitalocean.com/serviceaccount/";
        const auto or_usual = [](const std::string& said, const std::string& usual) { return said.empty() ? usual : said; };
        souk::wif w;
        w.issuer_uri = or_usual(c_.issuer_uri, c_.public_url);
        w.to_issue = or_usual(c_.to_issue, "exchange-custom-droplet-oidc-poc");
        w.token_path = or_usual(c_.token_path, below + "token");
        w.url_path = or_usual(c_.url_path, below + "base_url");
        w.url_route = or_usual(c_.url_route, "/v1/oidc/issue");
        w.subject = "actx:" + account() + ":plc:{did-plc-key}:role:{role}";
        return w;
    }
    // This provider's account in workload subjects: what the owner said, or a name that is stable for the owner's identity.
    std::string account() const { return c_.actx.empty() ? to_hex(crypto::sha256("souk account " + self_.document.did)).substr(0, 40) : c_.actx; }

    void start_roles() {
        auto& sys = *sys_;
        const auto& did = self_.document.did;
        const auto need_identity = [&](const char* role) {
            if (did.empty()) throw std::runtime_error(std::string("the role ") + role + " needs an [identity]");
        };
        if (has("signer")) need_identity("signer"), signer_ = host("signer", spawn_signer(sys, {did, now_}, *own_, *keys_));
        if (has("policy")) need_identity("policy"), start_policy();
        if (has("issuer")) {
            const auto uri = c_.issuer_uri.empty() ? c_.public_url : c_.issuer_uri;
            issuer_options o;
            o.issuer_uri = uri, o.actx = account(), o.now = now_;
            issuer_ = host("issuer", spawn_issuer(sys, o, keys_->issuer()));
        }
        if (has("payments")) {
            if (!rails_->payments()) throw std::runtime_error("the role payments needs a [ledger], a [wallet] or a [rail]");
            payment_world_ = std::make_unique<payment_world>(*rails_->payments(), keys_->wallet_address(), keys_->wallet().copy());
            payments_options o;
            o.pay_to = keys_->wallet_address(), o.now = now_, o.trouble = trouble(), o.books = books_;
            payments_ = host("payments", spawn_payments(sys, std::move(o), *log_, *rails_->payments(), *payment_world_));
        }
        if (has("payments") && rails_->channels() && (c_.channels.take || begun(channel::kind))) start_channels();
        else if (c_.channels.take && has("payments")) throw std::runtime_error("[channels] need a [ledger], a [wallet] or a [rail] that has them");
        if (has("payments") && rails_->escrow() && (c_.escrow.take || begun(tab::kind))) start_escrow();
        else if (c_.escrow.take) throw std::runtime_error("[escrow] needs a [ledger], a [wallet] or a [rail]");
        if (has("launcher")) start_launcher();
        if (has("fleet"))
            fleet_ = host("fleet", spawn_fleet(sys, {[this] {
                std::map<std::string, launcher_actor> hosts;
                if (cluster_) hosts = cluster_->all<launcher_actor>("launcher", c_.owner);
                if (launcher_) hosts[c_.name] = launcher_;
                return hosts;
            }}));
        if (has("broker")) start_broker();
        if (has("bidder")) need_identity("bidder"), start_bidder();
        if ((has("requester") && c_.seek) || c_.registry) need_identity("requester"), start_finder();
        if (has("requester")) need_identity("requester"), start_requester();
    }
    // Whether anything of that kind is open: what was begun is ended, whatever the configuration says by now.
    bool begun(std::string_view kind) const {
        bool any = false;
        log_->open_streams(kind, [&](const std::string&, const history&) { any = true; });
        return any;
    }
    void start_channels() {
        const auto& r = c_.channels;
        channels_options o;
        o.pay_to = keys_->wallet_address(), o.authorizer = keys_->wallet_address(), o.withdraw_delay = r.withdraw_delay.count(), o.now = now_, o.trouble = trouble();
        o.claim_at = r.claim_at, o.most_unclaimed = r.most_unclaimed, o.most_of_payer = r.most_of_payer, o.most_in_all = r.most_in_all;
        channel_world_ = std::make_unique<channel_world>(*rails_->channels(), keys_->wallet().copy());
        channels_ = host("channels", spawn_channels(*sys_, std::move(o), *log_, *rails_->channels(), *channel_world_));
    }
    void start_escrow() {
        const auto& r = c_.escrow;
        escrow_options o;
        o.provider = crypto::address_of(rails_->own_key()).value(), o.now = now_, o.trouble = trouble();
        o.present_at = r.present_at, o.most_open = r.most_open, o.most_in_all = r.most_in_all, o.present_after = r.present_after, o.before = r.before, o.latest = r.latest;
        escrow_world_ = std::make_unique<escrow_world>(*rails_->escrow(), rails_->own_key());
        escrow_ = host("escrow", spawn_escrow_keeper(*sys_, std::move(o), *log_, *rails_->escrow(), *escrow_world_));
    }
    void start_finder() {
        finder_options o;
        o.self = self_.document.did, o.now = now_;
        offerings_ = host("offerings", spawn_finder(*sys_, std::move(o), make_offering_reader(*identities_, *web_, now_)));
    }
    void start_policy() {
        policy_options o;
        o.self = self_.document.did, o.rules = c_.policy_rules, o.now = now_, o.web = http::fetcher_of(*web_);
        o.sign = [this](value::map claims) { return jwt::sign_es256k(std::move(claims), keys_->signing()); };
        policy_ = host("policy", spawn_policy(*sys_, std::move(o), *network_));
    }
    void start_launcher() {
        launcher_options o;
        o.host = c_.name, o.capacity = c_.capacity, o.location = c_.location, o.leads = c_.leads, o.now = now_, o.trouble = trouble();
        if (!c_.machine_authority.empty()) o.ca_pem = tls::read_file(c_.machine_authority);
        const auto w = workload_terms();
        o.token_path = *w.token_path, o.url_path = *w.url_path;
        o.actx_path = c_.actx_path.empty() ? "/root/secrets/digitalocean.com/serviceaccount/team_uuid" : c_.actx_path;
        o.base_url = c_.base_url;
        machine_world_ = std::make_unique<machine_world>(*sys_, o, *backend_, [this] { return role<issuer_actor>("issuer", c_.owner); });
        launcher_ = host("launcher", spawn_launcher(*sys_, o, *log_, *backend_, *machine_world_));
    }
    service::ports calls() { return {self_.document.did, &keys_->signing(), http::fetcher_of(*web_), [this](const std::string& did, auto then) { identities_->resolve(did, std::move(then)); }, now_}; }
    void start_bidder() {
        bidder_options o;
        o.did = self_.document.did, o.door = c_.public_url, o.cost = c_.cost, o.currency = c_.currency, o.frequency = c_.frequency, o.slice = c_.slice;
        o.bid_life = c_.bid_life, o.wif = workload_terms(), o.actx = account(), o.location = c_.location, o.tier = c_.tier, o.rules = c_.bidder_rules, o.now = now_, o.trouble = trouble(), o.books = books_;
        o.calls = calls();
        bidder_roles r{role<signer_actor>("signer", c_.owner), role<policy_actor>("policy", c_.owner), role<payments_actor>("payments", c_.owner), role<fleet_actor>("fleet", c_.owner), has("payments") ? channels_ : c_.channels.take ? role<channels_actor>("channels", c_.owner) : channels_actor{}};
        o.streams = c_.channels.take, o.step = c_.channels.step, o.grace = c_.channels.grace;
        if (!has("policy")) r.policy = policy_actor{}; // a provider without an engine of its own bids for everyone
        lease_world_ = std::make_unique<lease_world>(*sys_, o, r);
        bidder_ = host("bidder", spawn_bidder(*sys_, std::move(o), std::move(r), *log_, *network_, *lease_world_));
        start_crier();
    }
    void start_crier() {
        const auto signer = role<signer_actor>("signer", c_.owner);
        const auto fleet = role<fleet_actor>("fleet", c_.owner);
        if (!signer || !fleet) return;
        crier_options o;
        o.did = self_.document.did, o.offers = c_.offering, o.now = now_, o.trouble = trouble();
        o.terms = {c_.public_url, c_.cost, c_.currency, c_.frequency, c_.slice, c_.tier, c_.location};
        offering_world_ = std::make_unique<offering_world>(*sys_, signer);
        crier_ = spawn_crier(*sys_, std::move(o), fleet, *log_, *offering_world_);
    }
    void start_requester() {
        if (!rails_->payments()) throw std::runtime_error("the role requester needs a [wallet] or a [rail]");
        requester_options o;
        o.did = self_.document.did, o.door = c_.public_url, o.speaks = c_.speaks, o.relay = c_.relay, o.now = now_, o.trouble = trouble(), o.calls = calls(), o.books = books_;
        o.past = std::make_shared<past_dealings>(*log_), o.spending = spending_;
        if (hosted_) o.writes_at = c_.public_url;
        o.channels = rails_->channels(), o.streams = c_.channels.pay, o.longest_withdrawal = c_.channels.longest_withdrawal; // what was begun goes on, whatever is said now
        if (rails_->sends_itself() && (c_.channels.pay || begun(purchase::kind))) o.authorizer = std::make_shared<const crypto::secret>(keys_->settling(0));
        requester_roles r{role<signer_actor>("signer", c_.owner), role<policy_actor>("policy", c_.owner), role<broker_actor>("broker", ""), c_.seek ? offerings_ : offerings_actor{}};
        purchase_world_ = std::make_unique<purchase_world>(*sys_, o, r, *network_, http::fetcher_of(*web_), *rails_->payments(), *keys_);
        requester_ = host("requester", spawn_requester(*sys_, std::move(o), std::move(r), *log_, *network_, *keys_, *purchase_world_));
    }
    void start_broker() {
        if (!c_.tunnel_ssh || !c_.tunnel_https || c_.domain.empty()) throw std::runtime_error("the role broker needs [broker] ssh, https and domain");
        grants_ = make_kept_file(c_.directory / "grants");
        broker_options o;
        o.did = self_.document.did, o.domain = c_.domain, o.https_port = c_.tunnel_https->port, o.now = now_;
        o.close_account = [this](const std::string& did) { if (tunnels_) tunnels_->close_account(did); };
        broker_ = host("broker", spawn_broker(*sys_, std::move(o), *log_, *grants_, *network_, *identities_, *web_, *keys_));

        tunnel::broker_options t;
        t.address = c_.tunnel_ssh->host, t.ssh_port = c_.tunnel_ssh->port, t.https_port = c_.tunnel_https->port, t.domain = c_.domain;
        t.host_key = c_.directory / "keys" / "tunnel_host_ed25519", t.certificate = c_.tunnel_certificate, t.key = c_.tunnel_key, t.names_authority = c_.names_authority;
        t.authorise = [this](const std::string& user, const std::string& type, const std::string& blob, std::function<void(result<tunnel::grant>)> then) {
            ask<login_answer>(*sys_, broker_, 9s, login_question{user, type, blob}, [then](result<login_answer> a) {
                if (!a) return then(a.error());
                if (a->refused) return then(*a->refused);
                then(tunnel::grant{a->did, a->services});
            });
        };
        t.claim = [this](const tunnel::route_change& r, std::function<void(bool)> then) {
            ask<kept>(*sys_, broker_, 9s, route_claim{r.label, r.did, r.handle, r.service, r.up}, [then, label = r.label](result<kept> k) {
                if (k && k->refused) spdlog::warn("{} was refused: {}", label, k->refused->text);
                then(k && !k->refused);
            });
        };
        t.changed = [this](const tunnel::route_change& r) {
            spdlog::info("{} is {}", r.label, r.up ? "up" : "down");
            tell(broker_, route_claim{r.label, r.did, r.handle, r.service, r.up});
        };
        tunnels_ = std::make_unique<tunnel::broker>(std::move(t));
    }

    void open_doors() {
        if (c_.door) {
            door_parts p;
            p.sys = sys_.get(), p.now = now_, p.public_url = c_.public_url, p.did = self_.document.did, p.keys = keys_.get(), p.own = own_.get();
            if (own_) p.records.emplace(repository_door{*shown_, [d = self_.document] { return d; }, self_.account ? self_.account->own().audit() : value()});
            if (hosted_) p.records->commits = false; // its host signs them
            p.identities = identities_.get(), p.network = network_.get(), p.bidder = bidder_, p.requester = requester_, p.offerings = offerings_, p.policy = policy_, p.may_ask.insert(c_.policy_answers.begin(), c_.policy_answers.end()), p.registry = c_.registry, p.issuer = role<issuer_actor>("issuer", c_.owner), p.broker = broker_, p.ledger = rails_->ledger();
            if (followed_) p.crawl = [this](const http::request& r) { return answer_request_crawl(*followed_, r, [this](const std::string& host) { if (streams_) streams_->follow_too(host); }); };
            p.payments = payments_;
            if (c_.facilitator && payments_) p.facilitator = facilitator_terms{c_.facilitator_callers, c_.facilitator_open};
            if (fs::exists(c_.cluster_directory / "authority.key")) p.enrolment = c_.cluster_directory;
            http::server_options o;
            o.address = c_.door->host, o.port = c_.door->port, o.certificate = c_.door_certificate, o.key = c_.door_key;
            door_ = std::make_unique<http::server>(std::move(o), make_doors(std::move(p)));
        }
        control_parts p;
        p.sys = sys_.get(), p.now = now_, p.name = c_.name, p.did = self_.document.did, p.owner = c_.owner, p.public_url = c_.public_url;
        p.roles.assign(c_.roles.begin(), c_.roles.end());
        p.keys = keys_.get(), p.own = own_.get(), p.log = log_.get(), p.rail = rails_->payments(), p.books = books_, p.web = http::fetcher_of(*web_), p.lanes = rails_->lanes(), p.money = rails_->terms(), p.spending = spending_, p.peers = cluster_.get();
        p.requester = requester_, p.bidder = bidder_, p.policy = policy_, p.fleet = fleet_, p.launcher = launcher_, p.signer = signer_;
        p.broker = role<broker_actor>("broker", ""), p.offerings = offerings_;
        if (c_.escrow.on && rails_->escrow()) p.escrow = {sys_.get(), now_, rails_->escrow(), rails_->payments(), std::make_shared<const crypto::secret>(rails_->own_key()), escrow_};
        p.identities = identities_.get();
        p.status = [this] { return status(); };
        if (self_.account) p.plc = [this] { return log_of(); };
        p.stop = [this] { stop(); };
        http::server_options o;
        o.unix_socket = c_.directory / "control.sock";
        control_ = std::make_unique<http::server>(std::move(o), make_control(std::move(p)));
    }
    value status() const {
        value::map m;
        if (door_) {
            const auto n = door_->so_far();
            m["door"] = value::map{{"open", n.open}, {"accepted", n.accepted}, {"answered", n.answered}, {"refused", n.refused}, {"timed_out", n.timed_out},
                                   {"oversized", n.oversized}, {"malformed", n.malformed}, {"cut_off", n.cut_off}, {"readers", n.streams}, {"reader_bytes", n.stream_bytes}};
        }
        if (tunnels_) {
            const auto n = tunnels_->so_far();
            m["tunnels"] = value::map{{"open", n.tunnels}, {"logins", n.logins}, {"refused_logins", n.refused_logins}, {"visitors", n.visitors},
                                      {"refused_visitors", n.refused_visitors}, {"bytes_up", n.bytes_up}, {"bytes_down", n.bytes_down}};
        }
        if (cluster_) {
            const auto n = cluster_->so_far();
            m["cluster"] = value::map{{"refused_handshakes", n.refused_handshakes}, {"refused_names", n.refused_names}, {"refused_frames", n.refused_frames},
                                      {"lost_links", n.lost_links}, {"failed_requests", n.failed_requests}};
        }
        if (hosted_) {
            const auto s = hosted_->state();
            m["account"] = value::map{{"host", c_.pds_host}, {"up", s.up}, {"why", s.why}, {"waiting", static_cast<std::int64_t>(s.waiting)}, {"written", static_cast<std::int64_t>(s.written)},
                                      {"adopted", static_cast<std::int64_t>(s.adopted)}, {"conflicts", static_cast<std::int64_t>(s.conflicts)}};
        }
        m.emplace("relays", streams_ ? streams_->relays() : value::list());
        const auto written = log_->so_far();
        m["journal"] = value::map{{"facts", written.events}, {"transactions", written.transactions}};
        return m;
    }
    value log_of() const {
        const auto& own = self_.account->own();
        const auto at = self_.account->look();
        value::map m{{"head", own.head_cid().text()}, {"operations", static_cast<std::int64_t>(own.operations().size())}, {"directory", c_.plc_directory},
                     {"standing", to_text(at.how)}, {"directory_head", at.directory_head}, {"why", at.why}, {"asked", at.asked ? to_datetime(*at.asked) : std::string()}};
        if (const auto why = trouble_of(self_, *keys_); !why.empty()) m["trouble"] = why;
        if (const auto next = next_key()) m["next_key"] = next->did_key();
        m["restart"] = turned_.load();
        return m;
    }

    // -- what others publish -----------------------------------------------------------------------------------------------------
    void open_crawls() {
        if (c_.crawls.empty() || (!requester_ && !bidder_ && !policy_ && !offerings_)) return; // who reads nothing follows nobody
        followed_hosts::options o;
        o.file = c_.directory / "followed.json", o.allowed = c_.crawls, o.development = c_.allow_private;
        for (const auto& host : c_.relays) o.known.insert(host_in(host));
        o.known.insert(host_in(c_.public_url));
        followed_ = std::make_unique<followed_hosts>(std::move(o));
    }
    static std::string host_in(const std::string& url) {
        const auto scheme = url.find("://");
        return scheme == url.npos ? url : url.substr(scheme + 3);
    }
    void open_streams() {
        open_crawls();
        record_streams_options o;
        if (requester_) o.wanted = collections_of({speech::bid, speech::receipt}), o.wanted.emplace_back(ccbw::nsid), o.wanted.emplace_back(ccf::nsid);
        if (bidder_) {
            for (auto& nsid : collections_of({speech::request, speech::accept})) o.wanted.push_back(std::move(nsid));
            o.wanted.emplace_back(cce::nsid), o.wanted.emplace_back(market::event::nsid);
        }
        if (policy_)
            for (const auto nsid : {vouch::nsid, policy::association_nsid}) o.wanted.emplace_back(nsid);
        if (offerings_) o.wanted.emplace_back(market::offering::nsid);
        if (o.wanted.empty()) return;
        o.name = c_.name, o.directory = c_.directory, o.watch = c_.watch, o.relays = c_.relays, o.sellers = static_cast<bool>(offerings_), o.look_every = c_.look_every, o.now = now_;
        if (own_ && !hosted_) o.own_host = host_in(c_.public_url);
        feed_ = std::make_unique<note_feed>(*sys_, requester_, bidder_, policy_, offerings_);
        streams_ = std::make_unique<record_streams>(std::move(o), web_options_, *web_, *identities_, *network_, *feed_, followed_.get());
    }

    node_config c_;
    std::function<instant()> now_;
    std::unique_ptr<keyring> keys_;
    who self_;
    http::client_options web_options_;
    std::unique_ptr<http::client> web_;
    std::unique_ptr<txt_lookup> names_;
    std::unique_ptr<identity_resolver> identities_;
    std::unique_ptr<kept_file> tokens_;
    std::unique_ptr<repository> own_;
    pds::remote_repository* hosted_ = nullptr; // own_, where it is that
    synced_repository* shown_ = nullptr;       // what the door shows of it
    std::unique_ptr<record_network> network_;
    std::unique_ptr<sqlite_journal> log_;
    std::shared_ptr<spending_book> spending_; // empty: no limits
    std::shared_ptr<bookkeeper> books_; // to the end told by actors, which end with the system
    std::chrono::steady_clock::time_point books_due_{};
    std::unique_ptr<kept_file> grants_;
    std::unique_ptr<rails> rails_;
    std::unique_ptr<compute::backend> backend_;
    std::unique_ptr<payment_world> payment_world_;
    std::unique_ptr<channel_world> channel_world_;
    std::unique_ptr<escrow_world> escrow_world_;
    std::unique_ptr<machine_world> machine_world_;
    std::unique_ptr<lease_world> lease_world_;
    std::unique_ptr<offering_world> offering_world_;
    std::unique_ptr<purchase_world> purchase_world_;
    std::unique_ptr<system_config> system_config_;
    std::unique_ptr<caf::actor_system> sys_;
    std::unique_ptr<cluster> cluster_;
    std::map<std::string, caf::strong_actor_ptr> local_;
    signer_actor signer_;
    policy_actor policy_;
    payments_actor payments_;
    channels_actor channels_;
    escrow_actor escrow_;
    issuer_actor issuer_;
    launcher_actor launcher_;
    fleet_actor fleet_;
    bidder_actor bidder_;
    requester_actor requester_;
    broker_actor broker_;
    offerings_actor offerings_;
    caf::actor crier_;
    std::unique_ptr<tunnel::broker> tunnels_;
    std::unique_ptr<http::server> door_, control_;
    std::unique_ptr<note_feed> feed_;
    std::unique_ptr<followed_hosts> followed_; // empty: nobody is followed for asking
    std::unique_ptr<record_streams> streams_;  // empty: no role reads any
    std::mutex guard_;
    std::condition_variable woken_;
    bool stopping_ = false;
    std::atomic<bool> turned_{false}; // the next start has another signing key
    bool turn_tried_ = false;
    plc_account::standing stood_ = plc_account::standing::unknown; // what was last said of the directory
};

node::node(node_config config) : impl_(std::make_unique<impl>(std::move(config))) {}
node::~node() = default;
int node::run() { return impl_->run(); }
void node::stop() { impl_->stop(); }

} // namespace souk
