#include <souk/runtime/doors.hpp>

#include <souk/backends/rails/escrow_call.hpp>
#include <souk/backends/rails/ledger_call.hpp>

#include <souk/messages/json.hpp>
#include <souk/runtime/cluster/enrolment.hpp>
#include <souk/runtime/machine_door.hpp>
#include <souk/runtime/market_door.hpp>
#include <souk/runtime/paid_door.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

http::response plain(unsigned status, const std::string& code, const std::string& text) { return http::error_response(status, {code, text}); }
http::response unreachable(const refusal& why) { return http::error_response(503, {"not_now", why.text}); }
http::response json(value::map body) { return http::json_response(200, to_json(std::move(body))); }

bool begins(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

class doors {
public:
    explicit doors(door_parts parts) : p_(std::move(parts)), machines_(parts_for_machines(p_)),
          facilitator_(p_.facilitator ? std::make_shared<facilitator_door>(p_.sys, p_.payments, p_.now, *p_.facilitator) : nullptr),
          market_({p_.sys, p_.now, p_.did, p_.public_url, p_.own, p_.network, p_.bidder, p_.requester, p_.registry, p_.offerings, p_.policy, p_.may_ask}) {}

    void answer(http::request r, http::responder say) {
        const bool get = r.method == "GET", post = r.method == "POST";
        if (paid_door::is_one(r)) return paid(r, std::move(say));
        if (get && r.path == "/health") return say(json({{"status", "up"}, {"did", p_.did}}));
        if (machine_door::is_one(r)) return machines_.answer(r, std::move(say));
        if (market_door::is_one(r)) return market_.answer(r, std::move(say));
        if (facilitator_ && facilitator_door::is_one(r)) return facilitator_->answer(r, std::move(say));
        if (begins(r.path, "/ledger/")) return ledger(r, std::move(say));
        if (post && p_.crawl && r.path == "/xrpc/com.atproto.sync.requestCrawl") return say(p_.crawl(r));
        if (post && r.path == "/cluster/join") return join(r, std::move(say));
        if (p_.records)
            if (auto known = p_.records->answer(r)) return say(std::move(*known));
        say(plain(404, "not_found", "there is nothing here by that name"));
    }

    std::variant<http::stream_handler, http::response> upgrade(const http::request& r, std::shared_ptr<http::stream> s) {
        if (p_.records)
            if (auto taken = p_.records->upgrade(r, std::move(s))) return std::move(*taken);
        return plain(404, "not_found", "no stream by that name");
    }

private:
    void paid(const http::request& r, http::responder say) {
        if (!p_.bidder) return say(plain(404, "not_found", "this node sells nothing"));
        auto asked = paid_door::read(r, p_.public_url);
        if (!asked) return say(http::error_response(400, asked.error()));
        ask<paid_answer>(*p_.sys, p_.bidder, 60s, std::move(*asked), [say](result<paid_answer> a) {
            if (!a) return say(unreachable(a.error()));
            say(paid_door::write(std::move(*a)));
        });
    }

    void ledger(const http::request& r, http::responder say) {
        if (!p_.ledger) return say(plain(404, "not_found", "this node keeps no ledger"));
        if (r.path == "/ledger/token") {
            const auto t = p_.ledger->token();
            return say(json({{"network", p_.ledger->network()}, {"asset", p_.ledger->asset()}, {"name", t.name}, {"version", t.version}}));
        }
        if (r.path == "/ledger/balance")
            return p_.ledger->balance(std::string(r.param("address")), [say](result<amount> a) {
                if (!a) return say(http::error_response(400, a.error()));
                say(json({{"balance", std::to_string(*a)}}));
            });
        if (r.path == "/ledger/authorization") {
            x402::authorization of;
            of.from = r.param("from"), of.nonce = r.param("nonce"), of.to = r.param("to"), of.value = r.param("value");
            return p_.ledger->look_up(of, [say](look_up_answer a) {
                if (a.how == moved::unknown) return say(plain(503, "not_now", "the ledger does not know"));
                say(json({{"used", a.how == moved::yes}, {"transaction", a.transaction}, {"asOf", to_datetime(a.as_of)}, {"spent", a.spent}}));
            });
        }
        if (r.method == "POST" && r.path == "/ledger/settle") {
            const auto body = from_json(r.body);
            if (!body) return say(http::error_response(400, body.error()));
            const auto paid = from_value<x402::exact_payload>(*body);
            if (!paid) return say(http::error_response(400, paid.error()));
            return p_.ledger->settle(*paid, [say](settle_answer a) {
                if (a.how == moved::unknown) return say(plain(503, "not_now", "the ledger does not know"));
                if (a.how == moved::no) return say(http::error_response(402, a.why));
                say(json({{"transaction", a.transaction}}));
            });
        }
        if (r.method == "POST" && r.path == "/ledger/channel") {
            const auto body = from_json(r.body);
            const auto call = body ? from_value<ledger_call>(*body) : result<ledger_call>(body.error());
            if (!call) return say(http::error_response(400, call.error()));
            return carry_out(*p_.ledger, *call, p_.now(), [say](channel_answer a) {
                if (a.how == moved::unknown) return say(plain(503, "not_now", "the ledger does not know"));
                if (a.how == moved::no) return say(http::error_response(402, a.why));
                const auto said = to_value(ledger_said{a.books, a.transaction});
                say(json(*said.as<value::map>()));
            });
        }
        if (r.method == "POST" && r.path == "/ledger/escrow") {
            const auto body = from_json(r.body);
            const auto call = body ? from_value<escrow_call>(*body) : result<escrow_call>(body.error());
            if (!call) return say(http::error_response(400, call.error()));
            return carry_out(*p_.ledger, *call, p_.now(), [say](std::optional<escrow_call_said> a) {
                if (!a) return say(plain(503, "not_now", "the ledger does not know"));
                const auto said = to_value(*a);
                auto r = json(*said.as<value::map>());
                if (a->refused) r.status = 402;
                say(std::move(r));
            });
        }
        say(plain(404, "not_found", "the ledger answers token, balance, authorization, settle, channel and escrow"));
    }

    void join(const http::request& r, http::responder say) {
        if (p_.enrolment.empty()) return say(plain(404, "not_found", "this node does not admit members"));
        const auto body = from_json(r.body);
        if (!body) return say(http::error_response(400, body.error()));
        const auto in = enrolment::admit(p_.enrolment, {std::string(body->text("node")), std::string(body->text("token")), std::string(body->text("request"))}, p_.now());
        if (!in) return say(http::error_response(403, in.error()));
        say(json({{"certificate", in->certificate}, {"authority", in->authority}}));
    }

    static machine_door::parts parts_for_machines(const door_parts& p) {
        machine_door::parts m{p.sys, p.now, p.did, p.keys, p.own, {}, p.issuer, p.broker};
        if (p.identities) m.resolve = [who = p.identities](const std::string& did, auto then) { who->resolve(did, std::move(then)); };
        return m;
    }

    door_parts p_;
    machine_door machines_;
    std::shared_ptr<facilitator_door> facilitator_;
    market_door market_;
};

} // namespace

http::handler make_doors(door_parts parts) {
    auto all = std::make_shared<doors>(std::move(parts));
    return {[all](http::request r, http::responder say) { all->answer(std::move(r), std::move(say)); },
            [all](const http::request& r, std::shared_ptr<http::stream> s) { return all->upgrade(r, std::move(s)); }};
}

} // namespace souk
