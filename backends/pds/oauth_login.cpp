#include <souk/backends/pds/oauth_login.hpp>

#include <algorithm>
#include <future>

#include <souk/backends/http/server.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dpop.hpp>

namespace souk::pds::oauth {

namespace {

constexpr std::size_t longest_parameter = 2048;

http::response page(unsigned status, const std::string& text) {
    http::response r{status, {}, text + "\n"};
    r.head.set("Content-Type", "text/plain; charset=utf-8").set("Cache-Control", "no-store").set("Referrer-Policy", "no-referrer");
    return r;
}

// Where the browser brings the answer. Whoever does not know `state` was not sent by the server that we asked, and changes nothing.
class waiting_room {
public:
    waiting_room(std::uint16_t port, std::string state) : state_(std::move(state)) {
        http::server_options o;
        o.port = port;
        http::handler h;
        h.answer = [this](http::request r, http::responder say) { say(answer(r)); };
        door_ = std::make_unique<http::server>(o, std::move(h));
    }
    std::uint16_t port() const { return door_->port(); }
    std::optional<http::request> wait(std::chrono::milliseconds within) {
        auto came = came_.get_future();
        if (came.wait_for(within) != std::future_status::ready) return std::nullopt;
        return came.get();
    }

private:
    http::response answer(const http::request& r) { // on the door's one thread
        if (r.method != "GET" || r.path != "/") return page(404, "There is nothing here but the answer to a login.");
        for (const auto& [name, text] : r.query) {
            const auto times = std::count_if(r.query.begin(), r.query.end(), [&n = name](const auto& p) { return p.first == n; });
            if (times > 1 || text.size() > longest_parameter) return page(400, "That is no answer to a login.");
        }
        if (r.param("state") != state_) return page(400, "That is not the answer to the login that is waited for here.");
        if (std::exchange(done_, true)) return page(400, "That login was answered before.");
        came_.set_value(r);
        return page(200, r.param("error").empty() ? "This node has its answer. See what souk says of it; this page may be closed."
                                                  : "This node was not let in. See what souk says of it; this page may be closed.");
    }

    const std::string state_;
    bool done_ = false;
    std::promise<http::request> came_;
    std::unique_ptr<http::server> door_; // last: it uses the rest
};

std::string words(std::string_view error, std::string_view text) {
    return to_utf8(error.substr(0, 100)) + (text.empty() ? "" : ", " + to_utf8(text.substr(0, 300)));
}
refusal refused(const server& s, const answer& a) { return {"pds_refused", s.issuer + " refuses: " + words(a.error, a.text)}; }
refusal as_unreachable(refusal why) {
    if (why.code == "pds_unknown") why.code = "pds_unreachable", why.text += "; log in once more";
    return why;
}

// The person may have chosen another account in the browser than the one that this node is for; and a server speaks for its own accounts alone.
result<void> check_whose(const grant& g, const login& l) {
    if (!l.did.empty() && g.did != l.did) return refusal{"pds_login", "the login is of " + g.did + ", and this node's account is " + l.did};
    if (is_did(l.identifier) && g.did != l.identifier)
        return refusal{"pds_login", "the login is of " + g.did + ", and [pds] identifier is " + l.identifier};
    const auto who = l.identify(g.did);
    if (!who) return who.error();
    if (who->pds != l.host)
        return refusal{"pds_login", g.did + " says that its host is " + (who->pds.empty() ? "nobody" : who->pds) + ", and not " + l.host};
    if (!is_did(l.identifier) && std::find(who->handles.begin(), who->handles.end(), l.identifier) == who->handles.end())
        return refusal{"pds_login", "the login is of " + g.did + ", which is not called " + l.identifier};
    return {};
}

} // namespace

result<grant> log_in(http::client& web, const login& l) {
    const asker ask = [&web](http::call c) -> result<http::response> {
        const auto whom = c.url.substr(0, c.url.find('?'));
        auto said = web.fetch_now(std::move(c));
        if (!said) return not_answered(whom, said.error());
        return said;
    };
    const auto s = discover(ask, l.host);
    if (!s) return s.error();

    const auto state = random_text(), verifier = random_text();
    std::optional<waiting_room> room;
    try {
        room.emplace(l.port, state);
    } catch (const std::runtime_error& e) {
        return refusal{"port_in_use", e.what()};
    }
    const auto redirect = "http://127.0.0.1:" + std::to_string(room->port()) + '/';

    auto key = crypto::generate(crypto::curve::p256);
    const auto known = crypto::public_of(crypto::curve::p256, key);
    const auto thumbprint = known ? dpop::thumbprint_of(*known) : result<std::string>(known.error());
    if (!thumbprint) return thumbprint.error();
    prover by(key.copy(), l.now);
    const auto pushed = post(ask, by, s->push,
                             {{"client_id", client_id}, {"response_type", "code"}, {"redirect_uri", redirect}, {"scope", scope}, {"state", state},
                              {"code_challenge", to_base64url(crypto::sha256(verifier))}, {"code_challenge_method", "S256"},
                              {"dpop_jkt", *thumbprint},
                              {"login_hint", l.did.empty() ? l.identifier : l.did}});
    if (!pushed) return as_unreachable(pushed.error());
    const std::string ticket(pushed->body.text("request_uri"));
    if (!pushed->well()) return refused(*s, *pushed);
    if (ticket.empty() || ticket.size() > longest_parameter)
        return refusal{"pds_no_oauth", s->issuer + " takes the request, and does not say under which name"};
    const auto query = "client_id=" + http::percent_encode(client_id) + "&request_uri=" + http::percent_encode(ticket);
    l.show(s->authorize + (s->authorize.find('?') == std::string::npos ? '?' : '&') + query, room->port());

    const auto came = room->wait(l.patience);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(l.patience).count();
    if (!came) return refusal{"pds_login_timeout", "nobody came back from " + s->issuer + " within " + std::to_string(seconds) + " s"};
    if (came->param("iss") != s->issuer)
        return refusal{"pds_login", "the answer is by " + to_utf8(came->param("iss").substr(0, 300)) + ", and " + s->issuer + " was asked"};
    if (!came->param("error").empty())
        return refusal{"pds_refused", s->issuer + " does not let this node in: " + words(came->param("error"), came->param("error_description"))};
    if (came->param("code").empty()) return refusal{"pds_login", s->issuer + " sends back neither a code nor what is wrong"};

    const auto said = post(ask, by, s->token,
                           {{"grant_type", "authorization_code"}, {"code", std::string(came->param("code"))}, {"redirect_uri", redirect},
                            {"client_id", client_id}, {"code_verifier", verifier}});
    if (!said) return as_unreachable(said.error());
    if (!said->well()) return refused(*s, *said);
    grant g;
    g.host = l.host, g.issuer = s->issuer, g.token_url = s->token, g.revoke_url = s->revoke, g.key = std::move(key);
    auto well = take_tokens(g, *said, l.now());
    if (well) well = check_whose(g, l);
    if (!well) { // nobody is to have what nobody uses; where it cannot be given back, it ends by itself
        const std::string token(said->body.text("refresh_token").empty() ? said->body.text("access_token") : said->body.text("refresh_token"));
        if (!s->revoke.empty() && !token.empty()) (void)post(ask, by, s->revoke, {{"token", token}, {"client_id", client_id}});
        return well.error();
    }
    return g;
}

} // namespace souk::pds::oauth
