#include <souk/actors/issuer/issuer.hpp>

#include <souk/actors/issuer/tokens.hpp>
#include <souk/actors/common/random_id.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

struct issuer_state {
    using handle = issuer_actor;
    static constexpr const char* name = "souk.issuer";

    issuer_state(handle::pointer, issuer_options o, jwt::rs256_signer key)
        : now(std::move(o.now)),
          self{o.issuer_uri, o.actx, key, value::map{{"keys", value::list{key.jwk()}}}, o.boot_token_life, o.longest_ttl} {}

    handle::behavior_type make_behavior() {
        return {
            [this](const boot_token_request& what) -> caf::result<token_answer> {
                auto out = answer(workload::boot_token(self, what, {now(), random_id()}));
                if (!out.refused) out.issuer_uri = self.uri, out.actx = self.actx;
                return out;
            },
            [this](const token_exchange& what) -> caf::result<token_answer> { return answer(workload::exchanged_token(self, what, {now(), random_id()})); },
            [this](const issuer_query&) -> caf::result<issuer_view> {
                issuer_view out;
                out.issuer_uri = self.uri, out.actx = self.actx;
                out.discovery = workload::discovery(self), out.jwks = to_json(self.jwks);
                return out;
            },
        };
    }

    static token_answer answer(result<std::string> minted) {
        token_answer out;
        if (minted) out.token = std::move(*minted);
        else out.refused = minted.error();
        return out;
    }

    std::function<instant()> now;
    workload::issuer self;
};

} // namespace

issuer_actor spawn_issuer(caf::actor_system& sys, issuer_options o, jwt::rs256_signer key) {
    const bool web = o.issuer_uri.starts_with("https://") || o.issuer_uri.starts_with("http://");
    if (!web || o.issuer_uri.ends_with('/')) throw std::invalid_argument("the issuer's URI is http(s)://HOST[:PORT], no slash at the end");
    if (const auto part = workload::subject_part("actx:" + o.actx, "actx"); !part || *part != o.actx)
        throw std::invalid_argument("\"" + o.actx + "\" cannot be an actx: letters, digits, \".\", \"_\", \"-\"");
    return sys.spawn<actor_of<issuer_state>>(std::move(o), std::move(key));
}

} // namespace souk
