#include <souk/runtime/simulate/nodes.hpp>

#include <souk/actors/payments/channels.hpp>
#include <souk/runtime/machine_door.hpp>
#include <souk/runtime/market_door.hpp>
#include <souk/runtime/paid_door.hpp>
#include <souk/runtime/simulate/relay.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

did_document party::document() const {
    did_document d;
    d.did = did, d.signing = {keys->signing_public()}, d.seal_key = crypto::seal_did_key(keys->seal().public32), d.pds = door();
    return d;
}

// -- any node ----------------------------------------------------------------------------------------------------------------

node::node(universe& u, std::string name) : u_(u), name_(std::move(name)), disk_(u, name_, [this] { restart("its disk was lost"); }) {}

node::~node() {
    *life_ = false;
    for (const auto& x : cast_) caf::anon_send_exit(x, caf::exit_reason::kill);
}

void node::start() {
    life_ = std::make_shared<bool>(true);
    disk_.mount(life_);
    u_.tell(name_, "starts");
    open();
    live_dangerously();
}

void node::kill(const std::string& why) {
    if (!up()) return;
    *life_ = false;
    u_.tell(name_, "is killed: " + why);
    disk_.crash();
    close();
    for (const auto& x : cast_) caf::anon_send_exit(x, caf::exit_reason::kill);
    cast_.clear();
}

void node::restart(const std::string& why) {
    if (!up()) return;
    kill(why);
    u_.later(u_.chance().between(200ms, u_.chance().one_in(10) ? 600'000ms : 20'000ms), [this] { start(); });
}

void node::live_dangerously() {
    u_.later(life_, u_.chance().between(10ms, 60'000ms), [this] {
        if (u_.strikes(hazard::kill, 80)) return restart("chance");
        if (u_.strikes(hazard::clock_jump, 30)) {
            skew_ = u_.chance().between(-180'000ms, 180'000ms);
            u_.tell(name_, "its clock is wrong by " + std::to_string(skew_.count()) + " ms");
            u_.later(u_.chance().between(1'000ms, 120'000ms), [this] { skew_ = 0ms; });
        }
        live_dangerously();
    });
}

std::shared_ptr<bookkeeper> node::keep_books(const keyring& keys, payment_rail& rail) {
    bookkeeper_options o;
    o.now = clock(), o.wallet = keys.wallet_address(), o.asset = book::token_of(rail.network(), rail.asset());
    const auto books = std::make_shared<bookkeeper>(std::move(o), folio_.opened_by(life_), disk_);
    bring_up(books);
    return books;
}

void node::bring_up(const std::shared_ptr<bookkeeper>& books) {
    while (books->catch_up()) {}
    u_.later(life_, 60'000ms, [this, books] { bring_up(books); });
}

std::function<instant()> node::clock() {
    return [this] { return u_.now() + skew_; };
}

// -- Alice -------------------------------------------------------------------------------------------------------------------

buyer::buyer(universe& u, books& b, chain& c, const party& who)
    : node(u, who.name), books_(b), chain_(c), who_(who), shelf_(u, who.did, [this] { restart("its repository was lost"); }) {
    books_.add(who.name + ".example", who.document(), shelf_);
}

void buyer::open() {
    auto& sys = u_.system();
    shelf_.mount(life_);
    auto& net = keep(books_.seen_by(who_.did, life_));
    auto& rail = keep<rail_view_of>(u_, chain_, life_);
    requester_options o;
    o.did = who_.did, o.now = clock(), o.speaks = speaks_, o.door = who_.door();
    o.calls = {who_.did, &who_.keys->signing(), books_.web_of(who_.did, life_), [&net](const std::string& did, auto then) { net.keys(did, std::move(then)); }, clock()};
    o.books = keep_books(*who_.keys, rail);
    if (streams_) o.channels = &rail;
    requester_roles r;
    r.signer = cast(spawn_signer(sys, {who_.did, clock()}, shelf_, *who_.keys));
    policy_options p;
    p.self = who_.did, p.now = clock();
    if (relay_) o.relay = relay_->who().did, o.grant_life = grant_life_, r.broker = cast(relay_->seen_by(who_.did, life_));
    r.policy = policy_ = cast(spawn_policy(sys, p, net));
    if (!listed_.empty()) {
        finder_options f;
        f.self = who_.did, f.now = clock();
        r.offerings = offerings_ = cast(spawn_finder(sys, std::move(f), [&net](const std::string& did, auto then) {
            net.list(did, std::string(market::offering::nsid), [did, then = std::move(then)](result<std::vector<stored_record>> all) {
                if (!all) return then(all.error());
                proved_offering found{"https://host of " + did, "", {}};
                for (const auto& one : *all)
                    if (auto rev = to_tid(static_cast<std::uint64_t>(one.time_us), 0); rev > found.rev) found.rev = std::move(rev), found.newest = one;
                then(std::move(found));
            });
        }));
        look_at_lists();
    }
    auto& world = keep<purchase_world>(sys, o, r, net, books_.web_of(who_.did, life_), rail, *who_.keys);
    requester_ = cast(spawn_requester(sys, o, r, disk_, net, *who_.keys, world));
    const machine_door machines({&sys, clock(), who_.did, who_.keys, &shelf_, [&net](const std::string& did, auto then) { net.keys(did, std::move(then)); }, {}, {}});
    const market_door market({&sys, clock(), who_.did, who_.door(), &shelf_, &net, {}, requester_, false, {}, policy_, may_ask_});
    if (auto* me = books_.find(who_.did))
        me->door = [machines, market](http::request q, http::responder say) {
            if (machine_door::is_one(q)) return machines.answer(q, std::move(say));
            if (market_door::is_one(q)) return market.answer(q, std::move(say));
            say(http::error_response(404, {"not_found", "nothing is sold here"}));
        };
    auto wanted = collections_of({speech::bid, speech::receipt});
    wanted.emplace_back(ccbw::nsid), wanted.emplace_back(ccf::nsid);
    for (const auto& s : sellers_)
        books_.watch(s, {wanted.begin(), wanted.end()}, cursors_[s], life_, [to = requester_](const record_note& n) { souk::tell(to, n); });
}

void buyer::look_at_lists() {
    for (const auto& did : listed_) souk::tell(offerings_, record_note{"at://" + did + '/' + std::string(market::offering::nsid) + "/self", "", {}});
    u_.later(life_, 20'000ms, [this] { look_at_lists(); });
}

void buyer::close() {
    shelf_.crash();
    requester_ = nullptr, policy_ = nullptr, offerings_ = nullptr;
    books_.hang_up(who_.did);
}

void buyer::believes(const std::string& about, const char* kind) {
    vouch v;
    v.kind = kind, v.createdAt = to_datetime(u_.now());
    const auto r = shelf_.put(std::string(vouch::nsid), about, to_record(v));
    ensure(r.has_value(), "an opinion could not be written");
    if (up()) souk::tell(policy_, record_note{r->uri.text(), r->cid.text(), encode_dag_cbor(r->value)});
}

void buyer::order(buy what) {
    const auto again = [this, what] { u_.later(5'000ms, [this, what] { order(what); }); };
    if (!up()) return again();
    ask<kept>(u_.system(), requester_, 30s, what, [this, again, what](result<kept> k) {
        if (!k || (k->refused && k->refused->code == "not_now")) return again();
        if (k->refused) u_.tell(name_, "is refused: " + k->refused->text);
        ++kept_orders_;
    });
}

void buyer::stop(const std::string& id, const std::string& why) {
    const auto again = [this, id, why] { u_.later(1'000ms, [this, id, why] { stop(id, why); }); };
    if (!up()) return again();
    ask<kept>(u_.system(), requester_, 30s, contract_order{id, "stop", why}, [again](result<kept> k) {
        if (!k || (k->refused && k->refused->code == "not_now")) again();
    });
}

purchase::state buyer::purchase_of(const std::string& id) const {
    return state_of<purchase>(const_cast<disk&>(disk_).past(purchase::kind, id));
}

// -- a host of a fleet -------------------------------------------------------------------------------------------------------

fleet_host::fleet_host(universe& u, std::string name, compute::size capacity) : node(u, name), capacity_(capacity), cloud_(u, name) {}

void fleet_host::open() {
    launcher_options o;
    o.host = name_, o.capacity = capacity_, o.now = clock();
    auto& backend = keep(cloud_.seen_by(life_));
    o.token_path = "/root/token", o.url_path = "/root/base_url", o.actx_path = "/root/actx", o.base_url = base_url_;
    auto& world = keep<machine_world>(u_.system(), o, backend, [this] { return issuer_ ? issuer_() : issuer_actor{}; });
    launcher_ = cast(spawn_launcher(u_.system(), o, disk_, backend, world));
}

void fleet_host::close() { launcher_ = nullptr; }

// -- Bob ---------------------------------------------------------------------------------------------------------------------

seller::seller(universe& u, books& b, chain& c, const party& who, offer what, std::vector<fleet_host*> hosts)
    : node(u, who.name), books_(b), chain_(c), who_(who), offer_(std::move(what)), hosts_(std::move(hosts)),
      shelf_(u, who.did, [this] { restart("its repository was lost"); }) {
    books_.add(who.name + ".example", who.document(), shelf_);
}

void seller::open() {
    auto& sys = u_.system();
    shelf_.mount(life_);
    auto& net = keep(books_.seen_by(who_.did, life_));
    auto& rail = keep<rail_view_of>(u_, chain_, life_);
    bidder_options o;
    o.did = who_.did, o.door = who_.door(), o.cost = offer_.cost, o.slice = offer_.slice, o.now = clock();
    o.wif.to_issue = "exchange", o.wif.token_path = "/root/token", o.wif.url_path = "/root/base_url", o.wif.url_route = "/v1/oidc/issue";
    o.wif.issuer_uri = o.door, o.actx = "0123456789abcdef0123456789abcdef01234567";
    o.wif.subject = "actx:" + o.actx + ":plc:{did-plc-key}:role:{role}";
    o.calls = {who_.did, &who_.keys->signing(), books_.web_of(who_.did, life_), [&net](const std::string& did, auto then) { net.keys(did, std::move(then)); }, clock()};
    o.books = keep_books(*who_.keys, rail);
    bidder_roles r;
    r.signer = cast(spawn_signer(sys, {who_.did, clock()}, shelf_, *who_.keys));
    auto& settling = keep<payment_world>(rail, who_.keys->wallet_address(), who_.keys->wallet().copy());
    payments_options p;
    p.pay_to = who_.keys->wallet_address(), p.now = clock(), p.books = o.books;
    r.payments = cast(spawn_payments(sys, std::move(p), disk_, rail, settling));
    r.fleet = cast(spawn_fleet(sys, {[this] {
        std::map<std::string, launcher_actor> reached;
        for (const auto* h : hosts_)
            if (const auto l = h->launcher()) reached[h->name()] = l;
        return reached;
    }}));
    if (step_ > 0s) {
        o.step = step_, o.grace = grace_;
        channels_options c;
        c.pay_to = c.authorizer = who_.keys->wallet_address(), c.withdraw_delay = 900, c.now = clock();
        r.channels = cast(spawn_channels(sys, std::move(c), disk_, rail, keep<channel_world>(rail, who_.keys->wallet().copy())));
    }
    auto& world = keep<lease_world>(sys, o, r);
    bidder_ = cast(spawn_bidder(sys, o, r, disk_, net, world));
    if (offers_) {
        crier_options c;
        c.did = who_.did, c.terms = {o.door, o.cost, o.currency, o.frequency, o.slice, o.tier, {}}, c.offers = *offers_, c.now = clock();
        cast(spawn_crier(sys, std::move(c), r.fleet, disk_, keep<offering_world>(sys, r.signer)));
    }
    if (issues_) {
        issuer_options tokens;
        tokens.issuer_uri = o.door, tokens.actx = o.actx, tokens.now = clock();
        issuer_ = cast(spawn_issuer(sys, std::move(tokens), *who_.issuing));
    }
    const machine_door machines({&sys, clock(), who_.did, who_.keys, nullptr, {}, issuer_, {}});
    const market_door market({&sys, clock(), who_.did, who_.door(), &shelf_, &net, bidder_, {}, true});
    if (auto* me = books_.find(who_.did))
        me->door = [this, door = o.door, to = bidder_, machines, market](http::request q, http::responder say) {
            if (machine_door::is_one(q)) return machines.answer(q, std::move(say));
            if (market_door::is_one(q)) return market.answer(q, std::move(say));
            auto asked = paid_door::read(q, door);
            if (!asked) return say(http::error_response(400, asked.error()));
            ask<paid_answer>(u_.system(), to, 60s, std::move(*asked), [say](result<paid_answer> a) {
                if (!a) return say(http::error_response(503, {"not_now", a.error().text}));
                say(paid_door::write(std::move(*a)));
            });
        };
    auto wanted = collections_of({speech::request, speech::accept});
    wanted.emplace_back(cce::nsid), wanted.emplace_back(market::event::nsid);
    for (const auto& b : buyers_)
        books_.watch(b, {wanted.begin(), wanted.end()}, cursors_[b], life_, [to = bidder_](const record_note& n) { souk::tell(to, n); });
}

void seller::close() {
    shelf_.crash();
    bidder_ = nullptr;
    books_.hang_up(who_.did);
}

void seller::issues_tokens() {
    issues_ = true;
    issuer_options none;
    none.issuer_uri = who_.door(), none.actx = "nobody", none.now = clock();
    nobody_ = spawn_issuer(u_.system(), std::move(none), *who_.issuing);
    caf::anon_send_exit(nobody_, caf::exit_reason::kill);
    for (auto* h : hosts_) h->boots_with([this, h] { return h->is_away() ? nobody_ : issuer_; }, who_.door());
}

void seller::stop(const std::string& lease, const std::string& why) {
    const auto again = [this, lease, why] { u_.later(1'000ms, [this, lease, why] { stop(lease, why); }); };
    if (!up()) return again();
    ask<kept>(u_.system(), bidder_, 30s, contract_order{lease, "stop", why}, [again](result<kept> k) {
        if (!k || (k->refused && k->refused->code == "not_now")) again();
    });
}

} // namespace souk::simulate
