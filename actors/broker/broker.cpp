#include <souk/actors/broker/broker.hpp>

#include <unordered_map>

#include <souk/actors/broker/login.hpp>
#include <souk/actors/broker/proxy.hpp>
#include <souk/actors/broker/routes.hpp>

namespace souk {

namespace {

constexpr std::chrono::milliseconds login_cache{5'000}; // of "yes" alone: a machine's key may be a moment old
constexpr std::size_t most_cached_logins = 4096, most_lookups = 256;
constexpr std::size_t longest_user = 2048, longest_key = 16 * 1024;
constexpr std::chrono::milliseconds route_within{30'000};

kept refusing(refusal why) {
    kept k;
    k.refused = std::move(why);
    return k;
}

login_answer no_login(refusal why) {
    login_answer a;
    a.refused = std::move(why);
    return a;
}

class broker_state {
public:
    using handle = extended<broker_actor, caf::result<void>(turn)>;
    static constexpr const char* name = "souk.broker";

    broker_state(handle::pointer self, broker_options o, broker_world w, grant_book::book grants)
        : self_(self),
          options_(std::move(o)),
          world_(std::move(w)),
          post_(turns_of(handle{self})),
          grants_(world_.grants, std::move(grants), post_),
          routes_(self->system(), world_.log, {options_.domain, options_.https_port, options_.now, options_.close_account}),
          proxy_({post_, world_.records, world_.fetch, grants_, world_.signing, options_.did, options_.now, options_.issuer_cache, options_.allow_http}) {}

    handle::behavior_type make_behavior() {
        return {
            [this](const login_question& q) { return answer<login_answer>([&](auto tell) { log_in(q, std::move(tell)); }); },
            [this](const route_claim& c) { return claim(c); },
            [this](const route_revocation& r) { return order_route(r.label, route::revoke{r.why}); },
            [this](const route_query& q) -> caf::result<route_list> { return routes_.list(q.did); },
            [this](const credential_grant& g) {
                return answer<kept>([&](auto tell) { take_grant(g.token, std::move(tell), true); });
            },
            [this](proxied_write& w) {
                return answer<proxied_answer>([&](auto tell) { proxy_.handle(std::move(w), std::move(tell)); });
            },
            [](const turn& t) { t.run(); },
        };
    }

private:
    template <class Answer>
    using reply = std::function<void(Answer)>;

    template <class Answer, class Ask>
    caf::result<Answer> answer(Ask ask) {
        auto promise = self_->make_response_promise<Answer>();
        ask(reply<Answer>([promise](Answer a) mutable { promise.deliver(std::move(a)); }));
        return promise;
    }

    // -- logins -----------------------------------------------------------------------------------------------------------

    void log_in(const login_question& q, reply<login_answer> tell) {
        if (q.user.size() > longest_user || q.key_type.size() > 256 || q.key_blob.data.size() > longest_key || !(is_did(q.user) || is_handle(q.user)))
            return tell(no_login({"bad_user", "log in as a handle or a DID"}));
        if (const auto* known = cached(q)) return tell(*known);
        if (lookups_ >= most_lookups) return tell(no_login({"not_now", "too many logins are being looked up"}));
        ++lookups_;
        tell = [this, tell = std::move(tell)](login_answer a) {
            --lookups_;
            tell(std::move(a));
        };
        if (is_did(q.user)) return find_key(q, q.user, std::move(tell));
        world_.resolve_handle(q.user, [this, post = post_, q, tell](result<did_document> got) {
            post([this, q, tell, got = std::move(got)] {
                if (!got) return tell(no_login(got.error()));
                find_key(q, got->did, tell);
            });
        });
    }
    void find_key(const login_question& q, const std::string& did, reply<login_answer> tell) {
        world_.records.list(did, std::string(ssh_public_key::nsid), [this, post = post_, q, did, tell](result<std::vector<stored_record>> got) {
            post([this, q, did, tell, got = std::move(got)] {
                if (!got) return tell(no_login(got.error()));
                login_answer a;
                a.did = did;
                a.services = login::services_for(*got, q.key_type, q.key_blob.data);
                if (a.services.empty()) return tell(no_login({"no_such_key", did + " has no record of this key"}));
                remember(q, a);
                tell(std::move(a));
            });
        });
    }

    static std::string cache_key(const login_question& q) { return q.user + '\0' + q.key_type + '\0' + q.key_blob.data; }
    const login_answer* cached(const login_question& q) {
        const auto found = logins_.find(cache_key(q));
        if (found == logins_.end()) return nullptr;
        if (options_.now() < found->second.second) return &found->second.first;
        logins_.erase(found);
        return nullptr;
    }
    void remember(const login_question& q, const login_answer& a) {
        if (logins_.size() >= most_cached_logins) logins_.clear();
        logins_.insert_or_assign(cache_key(q), std::pair(a, options_.now() + login_cache));
    }

    // -- names ------------------------------------------------------------------------------------------------------------

    caf::result<kept> claim(const route_claim& c) {
        if (auto r = check_claim(c); !r) return refusing(r.error());
        if (auto r = routes_.check_room(c); !r) return refusing(r.error());
        return order_route(c.label, route::claim{c});
    }
    caf::result<kept> order_route(const std::string& label, route::command what) {
        auto promise = self_->make_response_promise<kept>();
        request(*self_, routes_.shard(label), route_within, order<route>{label, std::move(what)})
            .then(
                [promise](answer_to_order& a) mutable {
                    kept k;
                    k.seq = a.seq, k.refused = std::move(a.refused);
                    promise.deliver(std::move(k));
                },
                [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
        return promise;
    }

    // -- credentials ------------------------------------------------------------------------------------------------------

    void take_grant(const std::string& token, reply<kept> tell, bool may_look_again) {
        const auto account = credential::grantor_of(token);
        if (!account) return tell(refusing(account.error()));
        world_.records.keys(*account, [this, post = post_, token, account = *account, tell, may_look_again](result<did_document> got) {
            post([this, token, account, tell, may_look_again, got = std::move(got)] {
                if (!got) return tell(refusing(got.error()));
                auto grant = credential::read_grant(token, account, options_.did, got->signing, options_.now());
                if (!grant && may_look_again && (grant.error().code == "bad_signature" || grant.error().code == "unknown_key")) {
                    world_.forget(account); // its key may have changed since the document was fetched
                    return take_grant(token, tell, false);
                }
                if (!grant) return tell(refusing(grant.error()));
                grants_.keep(std::move(*grant), options_.now(), [this, tell](result<void> r) {
                    if (!r) return tell(refusing(r.error()));
                    kept k;
                    k.seq = grants_.size();
                    tell(k);
                });
            });
        });
    }

    using answer_to_order = souk::answer; // `answer` is a verb here

    handle::pointer self_;
    broker_options options_;
    broker_world world_;
    post_to_self post_;
    grant_book grants_;
    route_board routes_;
    write_proxy proxy_;
    std::unordered_map<std::string, std::pair<login_answer, instant>> logins_;
    std::size_t lookups_ = 0;
};

} // namespace

broker_actor spawn_broker(caf::actor_system& sys, broker_options o, broker_world w) {
    auto grants = grant_book::read(w.grants); // here, so that a broken file ends the start and not an actor
    return sys.spawn<actor_of<broker_state>>(std::move(o), std::move(w), std::move(grants));
}

broker_actor spawn_broker(caf::actor_system& sys, broker_options o, journal& log, kept_file& grants, record_network& records, identity_resolver& who, http::client& web,
                          const keyring& keys) {
    return spawn_broker(sys, std::move(o),
                        broker_world{log, grants, records, [&who](const std::string& handle, auto tell) { who.resolve_handle(handle, std::move(tell)); },
                                     [&who](const std::string& did) { who.forget(did); },
                                     [&web](http::call c, auto tell) { web.fetch(std::move(c), std::move(tell)); }, keys.signing()});
}

} // namespace souk
