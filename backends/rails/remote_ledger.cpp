#include <souk/backends/rails/remote_ledger.hpp>

#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

class remote_ledger final : public payment_rail {
public:
    remote_ledger(http::client& web, std::string door) : web_(web), door_(std::move(door)) {}

    std::string network() const override { return std::string(x402::development_network); }
    x402::domain token() const override { return development_token(); }
    std::string asset() const override { return development_token().contract; }

    void settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) override {
        http::call c;
        c.method = "POST", c.url = door_ + "/ledger/settle", c.body = to_json(to_value(p));
        c.head.set("content-type", "application/json");
        web_.fetch(std::move(c), [tell](result<http::response> r) {
            const auto body = r ? from_json(r->body) : result<value>(r.error());
            if (!body) return tell({moved::unknown, {}, body.error()});
            if (r->status == 200) return tell({moved::yes, std::string(body->text("transaction")), {}});
            if (r->status == 402) return tell({moved::no, {}, {std::string(body->text("error")), std::string(body->text("message"))}});
            tell({moved::unknown, {}, {"ledger_unreachable", "HTTP " + std::to_string(r->status)}});
        });
    }
    void look_up(const x402::authorization& of, std::function<void(look_up_answer)> tell) override {
        auto path = "/ledger/authorization?from=" + http::percent_encode(of.from) + "&nonce=" + http::percent_encode(of.nonce);
        if (!of.to.empty()) path += "&to=" + http::percent_encode(of.to);
        if (!of.value.empty()) path += "&value=" + http::percent_encode(of.value);
        get(path, [tell](result<value> v) {
            if (!v) return tell({});
            const auto* used = v->find("used");
            const auto as_of = from_datetime(v->text("asOf"));
            if (!used || !used->as<bool>() || !as_of) return tell({});
            const auto* spent = v->find("spent") ? v->find("spent")->as<bool>() : nullptr;
            tell({*used->as<bool>() ? moved::yes : moved::no, std::string(v->text("transaction")), *as_of, spent && *spent});
        });
    }
    void balance(const std::string& address, std::function<void(result<amount>)> tell) override {
        get("/ledger/balance?address=" + http::percent_encode(address), [tell](result<value> v) {
            if (!v) return tell(v.error());
            tell(from_decimal(v->text("balance"), 0));
        });
    }

private:
    void get(const std::string& path, std::function<void(result<value>)> then) {
        http::call c;
        c.url = door_ + path;
        web_.fetch(std::move(c), [then](result<http::response> r) {
            if (!r) return then(r.error());
            auto body = from_json(r->body);
            if (!body) return then(body.error());
            if (r->status != 200) return then(refusal{std::string(body->text("error")), std::string(body->text("message"))});
            then(std::move(body));
        });
    }

    http::client& web_;
    std::string door_;
};

} // namespace

std::unique_ptr<payment_rail> make_remote_ledger(http::client& web, std::string door) { return std::make_unique<remote_ledger>(web, std::move(door)); }

} // namespace souk
