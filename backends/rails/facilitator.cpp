#include <souk/backends/rails/facilitator.hpp>

#include <algorithm>
#include <charconv>

#include <souk/messages/json.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr unsigned most_redirections = 3;
constexpr auto longest_rest = 300s;

std::string origin_of(const std::string& url) {
    const auto start = url.find("://");
    return url.substr(0, start == url.npos ? url.npos : url.find('/', start + 3));
}

class facilitator final : public payment_rail {
public:
    facilitator(http::fetcher web, facilitator_options o, payment_rail& chain) : core_(std::make_shared<core>()), chain_(chain) {
        core_->web = std::move(web), core_->options = std::move(o), core_->chain = &chain;
    }
    ~facilitator() override {
        const std::lock_guard hold(core_->guard);
        core_->chain = nullptr; // answers that come now find nobody to ask
    }

    std::string network() const override { return chain_.network(); }
    x402::domain token() const override { return chain_.token(); }
    std::string asset() const override { return chain_.asset(); }
    void look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) override { chain_.look_up(a, std::move(tell)); }
    void balance(const std::string& address, std::function<void(result<amount>)> tell) override { chain_.balance(address, std::move(tell)); }
    void check(const x402::payment& p, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)> tell) override {
        chain_.check(p, offered, now, std::move(tell));
    }

    void settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) override {
        // Brought before, by us or by anybody: then nobody has to be asked.
        core_->look_up(p.authorization, [c = core_, p, network = network(), token = token(), tell](const look_up_answer& a) {
            if (a.how == moved::yes) return tell({moved::yes, a.transaction, {}});
            if (a.how == moved::no && a.spent) return tell({moved::no, {}, {"invalid_exact_evm_nonce_already_used", "its nonce was spent on another transfer, or cancelled"}});
            if (a.how == moved::unknown) return tell({moved::unknown, {}, {"rail_unknown", "the chain cannot be asked now"}});
            {
                const std::lock_guard hold(c->guard);
                if (c->options.now() < c->rests_until) return tell({moved::unknown, {}, {"rail_busy", "the facilitator asks for a pause"}});
            }
            x402::requirements r;
            r.scheme = "exact", r.network = network, r.amount = p.authorization.value, r.asset = token.contract, r.payTo = p.authorization.to, r.maxTimeoutSeconds = 300;
            r.extra = value(value::map{{"name", token.name}, {"version", token.version}});
            x402::payment whole;
            whole.accepted = r, whole.payload = p;
            if (const auto& permit = p.permit2Authorization) {
                value::map extra{{"name", token.name}, {"version", token.version}, {"assetTransferMethod", "permit2"}};
                if (permit->witness.facilitator) r.scheme = "upto", extra.emplace("facilitatorAddress", *permit->witness.facilitator);
                r.extra = value(std::move(extra)), whole.accepted = r, whole.accepted.amount = permit->permitted.amount;
            }
            auto body = to_json(value::map{{"x402Version", 2}, {"paymentPayload", x402::wire_of(whole)}, {"paymentRequirements", to_value(r)}});
            post(c, c->options.url + "/settle", std::move(body), 0, [c, p, tell](result<value> said) { judge(*c, p, std::move(said), tell); });
        });
    }

private:
    struct core { // what is under way holds it
        http::fetcher web;
        facilitator_options options;
        std::recursive_mutex guard; // an answer may come at once, and ask again
        payment_rail* chain = nullptr;
        instant rests_until{};

        void look_up(const x402::authorization& a, std::function<void(look_up_answer)> tell) {
            const std::lock_guard hold(guard);
            chain ? chain->look_up(a, std::move(tell)) : tell({});
        }
    };
    using answered = std::function<void(result<value>)>;

    // Its word is a hint at where to look. "No" is no only where the chain has nothing of it either, and the payment's own deadline stands behind that.
    static void judge(core& c, const x402::exact_payload& p, result<value> said, std::function<void(settle_answer)> tell) {
        const auto* success = said ? said->find("success") : nullptr;
        const auto* flag = success ? success->as<bool>() : nullptr;
        refusal why{"rail_unknown", said ? "the facilitator's answer cannot be used" : said.error().text};
        if (flag) {
            const auto reason = std::string(said->text("errorReason").substr(0, 100));
            why = {reason.empty() ? "facilitator_refused" : reason, std::string(said->text("errorMessage").substr(0, 300))};
        }
        const bool refused = flag && !*flag && why.code != "settlement_pending";
        c.look_up(p.authorization, [tell, why, refused](const look_up_answer& a) {
            if (a.how == moved::yes) return tell({moved::yes, a.transaction, {}});
            if (a.how == moved::no && a.spent) return tell({moved::no, {}, {"invalid_exact_evm_nonce_already_used", "its nonce was spent on another transfer, or cancelled"}});
            tell({refused && a.how == moved::no ? moved::no : moved::unknown, {}, why});
        });
    }
    static void post(const std::shared_ptr<core>& c, const std::string& url, std::string body, unsigned redirections, answered then) {
        http::call call;
        call.method = "POST", call.url = url, call.body = body, call.within = c->options.within, call.largest_answer = 64 * 1024;
        if (origin_of(url) == origin_of(c->options.url))
            for (const auto& [name, text] : c->options.headers) call.head.set(name, text);
        call.head.set("content-type", "application/json");
        c->web(std::move(call), [c, url, body = std::move(body), redirections, then](result<http::response> r) mutable {
            if (!r) return then(r.error());
            if (r->status == 307 || r->status == 308) {
                auto to = std::string(r->head.get("location"));
                if (to.starts_with('/')) to = origin_of(url) + to;
                const bool safe = to.starts_with("https://") || (url.starts_with("http://") && to.starts_with("http://"));
                if (!safe || redirections == most_redirections) return then(refusal{"facilitator_redirects", url + " leads to \"" + to.substr(0, 200) + '"'});
                return post(c, to, std::move(body), redirections + 1, std::move(then));
            }
            if (r->status == 429) {
                int seconds = 5;
                const auto text = r->head.get("retry-after");
                std::from_chars(text.data(), text.data() + text.size(), seconds);
                const std::lock_guard hold(c->guard);
                c->rests_until = c->options.now() + std::clamp<std::chrono::seconds>(std::chrono::seconds{seconds}, 1s, longest_rest);
            }
            auto v = from_json(r->body, json_form::plain, {64 * 1024, 32, 10'000});
            if (!v) return then(refusal{"facilitator_unusable", url + " answered HTTP " + std::to_string(r->status)});
            then(std::move(v)); // some say a refusal with a status of its own: its body counts
        });
    }

    const std::shared_ptr<core> core_;
    payment_rail& chain_;
};

} // namespace

std::unique_ptr<payment_rail> make_facilitator_rail(http::fetcher web, facilitator_options o, payment_rail& chain) {
    return std::make_unique<facilitator>(std::move(web), std::move(o), chain);
}

} // namespace souk
