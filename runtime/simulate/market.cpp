#include <souk/runtime/simulate/market.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/runtime/simulate/guest.hpp>
#include <souk/runtime/simulate/witness.hpp>

namespace souk::simulate {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::minutes bad_weather{40}, at_most{24 * 60};
// A handle that is Alice's for a while, and then Eve's; the service that each of them wants under it.
const std::string shop = "shop.example", front = "front";

ccrfp request(dice& d, instant now, const std::string& id, const party& of) {
    ccrfp r;
    r.cpus = d.between(1, 2), r.mem = "512M", r.disk = "1G", r.network = "1G";
    r.role = "my-cool-role", r.user_data = d.one_in(3) ? guest::document(front, shop, of.did) : guest::document(id, of.name + ".example", of.did);
    r.expiresAt = to_datetime(now + 10min);
    return r;
}

class market {
public:
    market(const cast_of_market& cast, std::uint64_t seed, const hazards& on, std::ostream* log)
        : cast_(cast), u_(seed, on, log), ways_(u_), books_(u_, ways_), chain_(u_, ways_), alice_(u_, books_, chain_, cast.alice), ruth_(u_, books_, ways_, cast.ruth),
          seen_(u_, ruth_, on.contains(hazard::clock_jump) ? 7min : 31s) {
        const auto size = [](std::int64_t cpus) { return compute::size{cpus, 16'384, 65'536}; };
        hosts_.push_back(std::make_unique<fleet_host>(u_, "bob-1", size(2)));
        hosts_.push_back(std::make_unique<fleet_host>(u_, "bob-2", size(3)));
        hosts_.push_back(std::make_unique<fleet_host>(u_, "carol-1", size(2)));
        hosts_.push_back(std::make_unique<fleet_host>(u_, "eve-1", size(8)));
        sell(cast.bob, {"0.06", u_.chance().between(60, 600)}, {hosts_[0].get(), hosts_[1].get()});
        sell(cast.carol, {"0.07", u_.chance().between(60, 600)}, {hosts_[2].get()});
        sell(cast.eve, {"0.01", 60}, {hosts_[3].get()});
        chain_.fund(cast.alice.keys->wallet_address(), total);
        books_.overheard = [this](const stored_record& r) {
            gone_when_it_says_so(r);
            if (r.uri.did == cast_.alice.did && r.uri.collection == ssh_public_key::nsid) seen_.written(r);
        };
        alice_.lets(ruth_, u_.chance().one_in(4) ? 90s : 24h);
        if (seed % 3 == 0) { // contracts are paid while they run; Carol takes no channels
            alice_.streams();
            sellers_[0]->streams(20s, 30s), sellers_[2]->streams(20s, 0s);
        }
        for (auto& h : hosts_) {
            h->machines().booted = [this](const compute::order& o, const life& alive) { inhabit(o.tag, cast_.alice.did, alive)->boot(o); }; // nobody else buys
            h->machines().gone = [this](const std::string& tag) { ruth_.machine_gone(tag); };
        }
    }

    story run() {
        const auto begin = u_.now();
        for (auto& h : hosts_) h->start();
        for (auto& s : sellers_) s->start();
        ruth_.start();
        alice_.start();
        opinions();
        plan();
        names();
        u_.later(std::chrono::duration_cast<milliseconds>(bad_weather), [this] { u_.calm(), u_.tell("", "from here on nothing goes wrong"); });
        u_.run(begin + at_most, [&] { return u_.now() >= begin + bad_weather && quiet(); });
        const auto ended = u_.now();
        u_.run(ended + 5min, [] { return false; }); // the sweeps come round
        s_.lasted = u_.now() - begin;
        judge();
        return s_;
    }

private:
    static constexpr amount total = 1'000'000'000;
    static constexpr std::chrono::minutes longest_run{10 + 45}; // the longest slice, and a seller that was away

    void sell(const party& who, seller::offer what, std::vector<fleet_host*> hosts) {
        sellers_.push_back(std::make_unique<seller>(u_, books_, chain_, who, std::move(what), std::move(hosts)));
        sellers_.back()->reads(cast_.alice.did);
        sellers_.back()->issues_tokens();
        alice_.reads(who.did);
    }
    void opinions() {
        auto& records = const_cast<shelf&>(alice_.records());
        for (const auto* who : {&cast_.bob, &cast_.carol, &cast_.eve}) {
            vouch v;
            v.kind = who == &cast_.eve ? "denounce" : "vouch", v.createdAt = to_datetime(u_.now());
            (void)records.put(std::string(vouch::nsid), who->did, to_record(v));
        }
    }
    std::shared_ptr<guest> inhabit(const std::string& machine, const std::string& tenant, const life& alive) {
        auto one = std::make_shared<guest>(u_, books_, ruth_, machine, tenant, alive);
        one->trespassed = [this](const std::string& what) { seen_.broke(what); };
        return one;
    }
    // A handle changes hands, and who has it now wants the name, too; and one that was never hers. The relay may take a name away.
    void names() {
        auto& d = u_.chance();
        books_.call("alice.example", cast_.alice.did), books_.call(shop, cast_.alice.did);
        u_.later(d.between(0ms, 2'400'000ms), [this] { u_.tell("", shop + " is Eve's from now on"), books_.call(shop, cast_.eve.did); });
        for (const auto& [user, service] : std::initializer_list<std::pair<std::string, std::string>>{{shop, front}, {"alice.example", "p0"}}) {
            const auto hers = inhabit("eve's " + service, cast_.eve.did, rivals_);
            (void)sellers_.back()->records().put(std::string(ssh_public_key::nsid), service, hers->key_record(service));
            u_.later(d.between(0ms, 1'200'000ms), [hers, user = user, service = service] { hers->serve(user, service); });
        }
        u_.later(bad_weather, [this] {
            *rivals_ = false;
            for (const auto* service : {"front", "p0"}) ruth_.machine_gone(std::string("eve's ") + service);
        });
        if (d.one_in(6)) u_.later(d.between(600'000ms, 2'400'000ms), [this, label = host_label(front, shop).value()] { ruth_.take_away(label, [this, label] { seen_.taken_away(label); }); });
    }
    void plan() {
        auto& d = u_.chance();
        const auto count = static_cast<std::size_t>(d.between(4, 12));
        for (std::size_t i = 0; i < count; ++i) {
            const auto id = fmt::format("p{}", i);
            ids_.push_back(id);
            u_.later(d.between(0ms, 1'200'000ms), [this, id] {
                auto& dd = u_.chance();
                buy b;
                b.id = id, b.request = encode_dag_cbor(to_record(request(dd, u_.now(), id, cast_.alice))), b.window_ms = dd.between(500, 15'000);
                b.ceiling = dd.one_in(8) ? 1'200 : 0;
                u_.tell("alice", "wants " + id);
                ++s_.lifecycles;
                alice_.order(std::move(b));
                if (dd.one_in(3)) u_.later(dd.between(0ms, 900'000ms), [this, id] { u_.tell("alice", "stops " + id), alice_.stop(id, "enough"); });
            });
        }
        for (int i = 0; i < 3; ++i) {
            u_.later(d.between(60'000ms, 2'000'000ms), [this] { separate(); });
            if (d.one_in(4)) u_.later(d.between(60'000ms, 2'000'000ms), [this] { operator_stops(); });
        }
    }
    void separate() {
        auto& d = u_.chance();
        const auto until = u_.now() + d.between(1'000ms, 300'000ms);
        auto& h = *hosts_[static_cast<std::size_t>(d.between(0, 3))];
        const std::array<std::string, 4> dids{cast_.alice.did, cast_.bob.did, cast_.carol.did, cast_.eve.did};
        const auto& did = dids[static_cast<std::size_t>(d.between(0, 3))];
        if (u_.strikes(hazard::partition, 200)) u_.tell(ruth_.name(), "is cut off"), ruth_.cut_off(until);
        if (u_.strikes(hazard::partition, 500)) u_.tell(h.name(), "is cut off from its fleet"), h.cut_off(until);
        if (u_.strikes(hazard::partition, 500)) u_.tell("", did + " is cut off"), books_.cut_off(did, until);
    }
    void operator_stops() {
        const auto bids = sellers_[0]->records().list(std::string(ccb::nsid), 100, "", false);
        if (bids.empty()) return;
        const auto& one = bids[static_cast<std::size_t>(u_.chance().between(0, static_cast<std::int64_t>(bids.size()) - 1))];
        u_.tell("bob", "stops " + one.uri.rkey);
        sellers_[0]->stop(one.uri.rkey, "maintenance");
    }
    static std::size_t open(const node& n, std::string_view kind) {
        std::size_t count = 0;
        const_cast<disk&>(n.log()).open_streams(kind, [&](const std::string&, const history&) { ++count; });
        return count;
    }
    bool quiet() {
        if (!alice_.up() || alice_.ordered() < ids_.size() || open(alice_, purchase::kind) > 0) return false;
        for (const auto& s : sellers_)
            if (!s->up() || open(*s, lease::kind) > 0) return false;
        for (const auto& h : hosts_)
            if (!h->launcher() || open(*h, machine::kind) > 0) return false;
        return ruth_.up() && !*rivals_;
    }

    // -- promises --------------------------------------------------------------------------------------------------------------
    template <class... Args>
    void hold(bool holds, fmt::format_string<Args...> what, Args&&... args) {
        if (!holds) s_.broken.push_back(fmt::format(what, std::forward<Args>(args)...));
    }
    void judge() {
        s_.events = u_.events(), s_.transfers = chain_.all().size();
        for (const auto* n : std::initializer_list<const node*>{&alice_, sellers_[0].get(), sellers_[1].get(), sellers_[2].get(), hosts_[0].get(), hosts_[1].get(), hosts_[2].get(), hosts_[3].get(), &ruth_})
            s_.facts += n->log().facts();
        hold(alice_.ordered() >= ids_.size(), "an order was never kept");
        nothing_is_left_open();
        machines();
        money();
        accounts();
        purchases();
        served();
        s_.broken.insert(s_.broken.end(), seen_.broken().begin(), seen_.broken().end());
    }
    // When the last machine is gone no name is up; a month later none is anybody's.
    void served() {
        s_.tunnels = seen_.served();
        std::optional<std::vector<route_view>> all;
        ruth_.names([&](std::vector<route_view> v) { all = std::move(v); });
        u_.run(u_.now() + 30s, [&] { return all.has_value(); });
        hold(all.has_value(), "nobody answers for the relay");
        if (!all) return;
        for (const auto& v : *all) hold(!v.up, "{} is up, and every machine is gone", v.label);
        hold(all->size() == open(ruth_, route::kind), "{} names, and {} routes", all->size(), open(ruth_, route::kind));
        seen_.look();
        u_.run(u_.now() + 1min, [] { return false; });
        for (auto* n : everybody()) n->kill("a month goes by");
        u_.run(u_.now() + 31 * 24h, [] { return false; });
        ruth_.start();
        u_.run(u_.now() + 2min, [] { return false; });
        hold(open(ruth_, route::kind) == 0, "{} routes never came to an end", open(ruth_, route::kind));
    }
    std::vector<node*> everybody() {
        std::vector<node*> all{&alice_, &ruth_};
        for (auto& s : sellers_) all.push_back(s.get());
        for (auto& h : hosts_) all.push_back(h.get());
        return all;
    }
    // A statement is signed when the machine is gone, and not before. What a cloud lied about is the cloud's.
    void gone_when_it_says_so(const stored_record& r) {
        if (r.uri.collection != ccf::nsid) return;
        const auto tag = "souk-" + r.uri.rkey + "-1";
        for (const auto& h : hosts_)
            if (h->machines().runs(tag)) hold(h->machines().history().at(tag).back().by_itself, "{} was stated to be over and ran", tag);
    }
    void nothing_is_left_open() {
        hold(open(alice_, purchase::kind) == 0, "{} purchases never came to an end", open(alice_, purchase::kind));
        for (const auto& s : sellers_) hold(open(*s, lease::kind) == 0, "{} leases of {} never came to an end", open(*s, lease::kind), s->name());
        for (const auto& h : hosts_) {
            hold(open(*h, machine::kind) == 0, "{} machines of {} never came to an end", open(*h, machine::kind), h->name());
            hold(h->machines().running() == 0, "{} machines are left over on {}", h->machines().running(), h->name());
            if (!h->launcher()) {
                hold(false, "{} is not up again", h->name());
                continue;
            }
            std::optional<host_view> v;
            ask<host_view>(u_.system(), h->launcher(), 10s, host_query{}, [&](result<host_view> r) {
                if (r) v = *r;
            });
            u_.run(u_.now() + 1s, [&] { return v.has_value(); });
            hold(v && v->free_cpus == h->capacity().cpus && v->free_mem_mib == h->capacity().mem_mib && v->machines == 0, "{} holds room for nobody", h->name());
        }
    }
    // What ran was paid for, ran in one place at a time, and ended.
    void machines() {
        std::map<std::string, std::vector<cloud::run>> all;
        for (const auto& h : hosts_)
            for (const auto& [tag, runs] : h->machines().history())
                for (const auto& r : runs) {
                    ++s_.machines;
                    for (const auto& other : all[tag])
                        hold(other.until && (*other.until <= r.from || (r.until && *r.until <= other.from)), "{} ran twice at once", tag);
                    all[tag].push_back(r);
                }
        for (const auto& [tag, runs] : all) {
            const auto* paid = payment_of(tag);
            hold(paid || channel_of(tag), "{} ran and was not paid for", tag);
            for (const auto& r : runs)
            {
                if (paid) hold(paid->at <= r.from, "{} ran before it was paid for", tag);
                else if (const auto* c = channel_of(tag)) hold(c->filled_at <= r.from, "{} ran before its channel was filled", tag);
                hold(r.until && *r.until - r.from < longest_run, "{} ran on and on", tag);
            }
        }
        ran_ = std::move(all);
    }
    // What paid for the machine of a lease: by the accept of the bid whose key is in the tag.
    std::optional<cid> accept_of(const std::string& tag) const {
        for (const auto& a : alice_.records().list(std::string(ccba::nsid), 1000, "", false)) {
            const auto accept = from_record<ccba>(a.value);
            const auto bid = accept ? at_uri::parse(accept->bid.record.uri) : result<at_uri>(accept.error());
            if (bid && "souk-" + bid->rkey + "-1" == tag) return a.cid;
        }
        return std::nullopt;
    }
    const chain::transfer* payment_of(const std::string& tag) const {
        const auto accept = accept_of(tag);
        return accept ? chain_.find(cast_.alice.keys->wallet_address(), x402::nonce_for(*accept, 0)) : nullptr;
    }
    const chain::channel* channel_of(const std::string& tag) const {
        const auto accept = accept_of(tag);
        return accept ? channel_for(*accept) : nullptr;
    }
    const chain::channel* channel_for(const cid& accept) const {
        for (const auto& [id, c] : chain_.channels())
            if (c.config.salt == x402::nonce_for(accept, 1)) return &c;
        return nullptr;
    }
    // What a channel came to is what the statement says; what was not charged is the payer's again, and nothing is left in it.
    void channels(std::map<std::string, std::vector<ccf>>& statements) {
        std::map<std::string, stored_record> accepts; // by the channel's salt
        for (auto& a : alice_.records().list(std::string(ccba::nsid), 1000, "", false)) {
            auto salt = x402::nonce_for(a.cid, 1);
            accepts.emplace(std::move(salt), std::move(a));
        }
        for (const auto& [id, c] : chain_.channels()) {
            ++s_.streamed;
            const auto found = accepts.find(c.config.salt);
            hold(found != accepts.end(), "a channel is for nothing that she accepted");
            if (found == accepts.end()) continue;
            const auto& accept = found->second;
            hold(c.balance == c.claimed, "{} is left in a channel", c.balance - c.claimed);
            hold(!chain_.find(cast_.alice.keys->wallet_address(), x402::nonce_for(accept.cid, 0)), "a contract was paid twice: from a channel, and beside it");
            const auto& said = statements[accept.cid.text()];
            hold(said.size() == 1, "a contract that was paid from a channel has {} statements", said.size());
            if (said.size() != 1) continue;
            hold(said[0].paid == std::to_string(c.claimed), "a statement says {} where {} was claimed", said[0].paid, c.claimed);
            const auto read = from_record<ccba>(accept.value);
            const auto bid = read ? at_uri::parse(read->bid.record.uri) : result<at_uri>(read.error());
            const auto ran = bid ? ran_.find("souk-" + bid->rkey + "-1") : ran_.end();
            if (ran == ran_.end()) hold(c.claimed == 0, "{} was claimed for a machine that never ran", c.claimed);
        }
    }
    void money() {
        amount sum = chain_.balance(cast_.alice.keys->wallet_address());
        for (const auto& s : sellers_) sum += chain_.balance(s->who().keys->wallet_address());
        sum += chain_.in_channels();
        hold(sum == total, "money was made or lost: {} instead of {}", sum, total);
        hold(chain_.balance(cast_.eve.keys->wallet_address()) == 0, "Eve was paid");
        // Every payment of Alice's is for one accept of hers, and every accept that was paid has one statement that says so.
        std::map<std::string, strong_ref> accepts; // by nonce
        for (const auto& a : alice_.records().list(std::string(ccba::nsid), 1000, "", false)) accepts[x402::nonce_for(a.cid, 0)] = a.ref();
        std::map<std::string, std::vector<ccf>> statements; // by the accept's CID
        for (const auto& s : sellers_)
            for (const auto& r : s->records().list(std::string(ccf::nsid), 1000, "", false))
                if (const auto f = from_record<ccf>(r.value)) statements[f->accept.record.cid].push_back(*f);
        amount stated_back = 0, moved_back = 0;
        for (const auto& t : chain_.all()) {
            if (!crypto::same_address(t.from, cast_.alice.keys->wallet_address())) {
                moved_back += t.value;
                hold(crypto::same_address(t.to, cast_.alice.keys->wallet_address()), "a seller paid somebody else");
                continue;
            }
            const auto accept = accepts.find(t.nonce);
            hold(accept != accepts.end(), "Alice paid {} for nothing that she accepted", t.value);
            if (accept == accepts.end()) continue;
            const auto& said = statements[accept->second.cid];
            hold(said.size() == 1, "a contract that was paid has {} statements", said.size());
            if (said.size() != 1) continue;
            hold(said[0].paid == std::to_string(t.value), "a statement says {} where {} was paid", said[0].paid, t.value);
            const auto back = std::stoll(said[0].refunded);
            hold(back >= 0 && back <= t.value, "{} of {} came back", back, t.value);
            stated_back += back;
            const auto a = alice_.records().get(std::string(ccba::nsid), at_uri::parse(accept->second.uri)->rkey);
            const auto bid = at_uri::parse(from_record<ccba>(a->value)->bid.record.uri);
            const auto ran = ran_.find("souk-" + bid->rkey + "-1");
            if (said[0].reason.starts_with("the machine was lost"))
                hold(ran != ran_.end() && std::any_of(ran->second.begin(), ran->second.end(), [](const auto& r) { return r.by_itself; }), "a machine that ran was given up as lost");
            if (ran == ran_.end()) hold(back == t.value, "{} was kept for a machine that never ran", t.value - back);
        }
        channels(statements);
        hold(stated_back == moved_back, "{} came back, the statements say {}", moved_back, stated_back);
    }
    // Every party's books say of its wallet what the rail says; and of each contract both sides say the same, with the same reason.
    void accounts() {
        using book::account;
        std::vector<std::pair<const node*, const party*>> all{{&alice_, &alice_.who()}};
        for (const auto& s : sellers_) all.emplace_back(s.get(), &s->who());
        std::map<std::string, std::vector<const folio*>> of; // by contract
        for (const auto& [n, who] : all) {
            const auto& f = n->money();
            const auto began_with = n == &alice_ ? total : 0;
            const auto has = chain_.balance(who->keys->wallet_address());
            hold(began_with + f.sum(account::wallet) == has, "the books of {} say that its wallet changed by {}, the rail says {}", n->name(), book::decimal_of(f.sum(account::wallet), 0), has - began_with);
            for (const auto in : {account::receivable, account::payable, account::promised})
                hold(f.sum(in) == 0, "in the books of {} {} is still {}", n->name(), boost::describe::enum_to_string(in, "?"), book::decimal_of(f.sum(in), 0));
            for (auto& c : f.contracts()) of[c].push_back(&f);
        }
        for (const auto& [contract, sides] : of) {
            const auto sum = [&sides = sides, &contract = contract](std::initializer_list<account> of_these) {
                book::wide n = 0;
                for (const auto* f : sides)
                    for (const auto in : of_these) n += f->sum(in, contract);
                return n;
            };
            for (const auto& these : {std::initializer_list<account>{account::wallet}, {account::refunds}, {account::expense, account::revenue}})
                hold(sum(these) == 0, "over all parties' books of {} {} is {} and not zero", contract, boost::describe::enum_to_string(*these.begin(), "?"), book::decimal_of(sum(these), 0));
            for (const auto* f : sides)
                for (const auto* g : sides)
                    if (const auto *a = f->find(book::kind::refunded, contract), *b = g->find(book::kind::refunded, contract); a || b)
                        hold(a && b && a->why == b->why && !a->why.empty(), "of the refund of {} one says \"{}\", and another \"{}\"", contract, a ? a->why : "nothing", b ? b->why : "nothing");
        }
        s_.entries += alice_.money().entries();
        for (const auto& s : sellers_) s_.entries += s->money().entries();
    }
    void purchases() {
        for (const auto& id : ids_) {
            const auto p = alice_.purchase_of(id);
            if (!p.receipt.cid.empty()) ++s_.served;
            else if (p.at == purchase::phase::failed) ++s_.failed;
            else ++s_.undone;
            if (p.refunded > 0) ++s_.refunded;
            u_.tell("alice", fmt::format("{} {} paid {} back {}: {}", id, boost::describe::enum_to_string(p.at, "?"), p.paid, p.refunded, p.why));
            if (p.accept.cid.empty()) continue;
            accepted_what_was_bid(id, p);
            const auto accept = cid::parse(p.accept.cid);
            const auto* paid = chain_.find(cast_.alice.keys->wallet_address(), x402::nonce_for(*accept, 0));
            const auto* channel = channel_for(*accept);
            const auto moved = paid ? paid->value : channel ? channel->claimed : 0;
            if (p.at == purchase::phase::failed) hold(!paid && !channel, "{} counts as failed and was paid", id);
            if (p.at == purchase::phase::closed) hold(p.paid == moved, "{} says {} was paid, the rail {}", id, p.paid, moved);
        }
    }

    // The accept names a bid as its author published it.
    void accepted_what_was_bid(const std::string& id, const purchase::state& p) {
        const auto* w = purchase::winner(p);
        const auto uri = w ? at_uri::parse(w->ref.uri) : result<at_uri>(refusal{"none", ""});
        auto* author = uri ? books_.find(uri->did) : nullptr;
        const auto bid = author ? author->records->get(uri->collection, uri->rkey) : std::nullopt;
        hold(bid && bid->cid.text() == w->ref.cid, "{} accepted a bid that nobody made", id);
    }

    const cast_of_market& cast_;
    universe u_;
    crossings ways_;
    books books_;
    chain chain_;
    std::vector<std::unique_ptr<fleet_host>> hosts_;
    std::vector<std::unique_ptr<seller>> sellers_;
    buyer alice_;
    relay ruth_;
    witness seen_;
    life rivals_ = std::make_shared<bool>(true);
    std::vector<std::string> ids_;
    std::map<std::string, std::vector<cloud::run>> ran_;
    story s_;
};

} // namespace

cast_of_market::cast_of_market(const std::filesystem::path& directory) {
    for (auto* p : {&alice, &bob, &carol, &eve, &ruth}) {
        p->name = p == &alice ? "alice" : p == &bob ? "bob" : p == &carol ? "carol" : p == &eve ? "eve" : "ruth";
        p->did = "did:web:" + p->name + ".example";
        keys_.push_back(std::make_unique<keyring>(directory / p->name));
        p->keys = keys_.back().get();
        // Each is made when it is first asked for, which must not be in the middle of a market.
        if (p != &alice && p != &ruth) p->issuing.emplace(p->keys->issuer());
        (void)p->keys->signing_public(), (void)p->keys->seal(), (void)p->keys->wallet_address(), (void)p->keys->ssh_public();
    }
}

story run_market(const cast_of_market& cast, std::uint64_t seed, const hazards& on, std::ostream* log) {
    market m(cast, seed, on, log);
    auto s = m.run();
    s.seed = seed;
    return s;
}

} // namespace souk::simulate
