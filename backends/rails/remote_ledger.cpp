#include <souk/backends/rails/remote_ledger.hpp>

#include <souk/backends/rails/escrow_call.hpp>
#include <souk/backends/rails/ledger_call.hpp>
#include <souk/messages/evm/word.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

class ledger_at_a_door final : public remote_ledger {
public:
    ledger_at_a_door(http::client& web, std::string door, std::function<instant()> now) : web_(web), door_(std::move(door)), now_(std::move(now)) {}

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

    evm::channel::place channels() const override { return development_channels(); }
    void fill(const evm::channel::config& c, const evm::channel::deposit& d, tell_books tell) override { call({"fill", c, d, {}, 0, 0, {}, 0}, std::move(tell)); }
    void look(const evm::channel::config& c, tell_books tell) override { call({"look", c, {}, {}, 0, 0, {}, 0}, std::move(tell)); }
    void claim(const evm::channel::claim& what, const std::string& signature, tell_books tell) override {
        call({"claim", what.voucher.channel, {}, what, 0, 0, signature, 0}, std::move(tell));
    }
    void give_back(const evm::channel::config& c, amount much, std::int64_t nonce, const std::string& signature, tell_books tell) override {
        call({"give_back", c, {}, {}, much, nonce, signature, 0}, std::move(tell));
    }
    void begin_withdrawal(const evm::channel::config& c, amount much, const crypto::secret& by, tell_books tell) override { call_signed({"begin_withdrawal", c, {}, {}, much, 0, {}, 0}, by, std::move(tell)); }
    void complete_withdrawal(const evm::channel::config& c, const crypto::secret& by, tell_books tell) override { call_signed({"complete_withdrawal", c, {}, {}, 0, 0, {}, 0}, by, std::move(tell)); }

    evm::escrow::place escrow() const override { return development_escrow(); }
    void look_at(const escrow_source& of, const std::vector<std::string>& nonces, tell_escrow tell) override {
        escrow_call c;
        c.what = "look", c.source = of, c.nonces = nonces;
        call(c, answering(std::move(tell)));
    }
    void free_of(const std::string& owner, std::function<void(result<amount>)> tell) override {
        escrow_call c;
        c.what = "free", c.owner = owner;
        call(c, [tell](result<escrow_call_said> s) {
            if (!s || s->refused) return tell(s ? *s->refused : s.error());
            tell(s->free);
        });
    }
    void consume(const std::vector<evm::escrow::signed_request>& all, const crypto::secret& by, tell_escrow tell) override {
        escrow_call c;
        c.what = "consume", c.requests = all;
        call_signed(std::move(c), by, std::move(tell));
    }
    void carry_out(const escrow_order& o, const crypto::secret& by, tell_escrow tell) override {
        escrow_call c;
        c.what = "order", c.order = o;
        call_signed(std::move(c), by, std::move(tell));
    }

private:
    static std::function<void(result<escrow_call_said>)> answering(tell_escrow tell) {
        return [tell](result<escrow_call_said> s) {
            if (!s) return tell({moved::unknown, s.error(), {}, {}, {}, {}});
            if (s->refused) return tell({moved::no, *s->refused, {}, s->bad, {}, {}});
            tell({moved::yes, {}, s->books, {}, s->credit, s->transaction});
        };
    }
    void call_signed(escrow_call c, const crypto::secret& by, tell_escrow tell) {
        c.at = std::chrono::floor<std::chrono::seconds>(now_().time_since_epoch()).count();
        const auto signature = crypto::sign_digest(by, digest_of(c));
        if (!signature) return tell({moved::no, signature.error(), {}, {}, {}, {}});
        c.signature = evm::to_hex_text(*signature);
        call(c, answering(std::move(tell)));
    }
    void call(const escrow_call& what, std::function<void(result<escrow_call_said>)> then) {
        http::call c;
        c.method = "POST", c.url = door_ + "/ledger/escrow", c.body = to_json(to_value(what));
        c.head.set("content-type", "application/json");
        web_.fetch(std::move(c), [then](result<http::response> r) {
            const auto body = r ? from_json(r->body) : result<value>(r.error());
            if (!body) return then(body.error());
            if (r->status != 200 && r->status != 402) return then(refusal{"ledger_unreachable", "HTTP " + std::to_string(r->status)});
            then(from_value<escrow_call_said>(*body, unknown_fields::ignore));
        });
    }
    void call_signed(ledger_call c, const crypto::secret& by, tell_books tell) {
        c.at = std::chrono::floor<std::chrono::seconds>(now_().time_since_epoch()).count();
        const auto digest = digest_of(c);
        const auto signature = digest ? crypto::sign_digest(by, *digest) : digest;
        if (!signature) return tell({moved::no, signature.error(), {}, {}});
        c.signature = evm::to_hex_text(*signature);
        call(std::move(c), std::move(tell));
    }
    void call(const ledger_call& what, tell_books tell) {
        http::call c;
        c.method = "POST", c.url = door_ + "/ledger/channel", c.body = to_json(to_value(what));
        c.head.set("content-type", "application/json");
        web_.fetch(std::move(c), [tell](result<http::response> r) {
            const auto body = r ? from_json(r->body) : result<value>(r.error());
            if (!body) return tell({moved::unknown, body.error(), {}, {}});
            if (r->status == 402) return tell({moved::no, {std::string(body->text("error")), std::string(body->text("message"))}, {}, {}});
            const auto said = r->status == 200 ? from_value<ledger_said>(*body, unknown_fields::ignore) : result<ledger_said>(refusal{"ledger_unreachable", "HTTP " + std::to_string(r->status)});
            if (!said) return tell({moved::unknown, said.error(), {}, {}});
            tell({moved::yes, {}, said->books, said->transaction});
        });
    }
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
    std::function<instant()> now_;
};

} // namespace

std::unique_ptr<remote_ledger> make_remote_ledger(http::client& web, std::string door, std::function<instant()> now) {
    return std::make_unique<ledger_at_a_door>(web, std::move(door), std::move(now));
}

} // namespace souk
