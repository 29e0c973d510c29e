// A stranger's program: a shop, an actor system of its own, that has Souk's policy engine and payment verifier work in it.
// It sells to nobody whom its account has denounced, and collects what the others pay, once. Exit status 0: all of that was so.
#include <filesystem>
#include <future>
#include <iostream>
#include <map>
#include <memory>

#include <souk/actors/payments/payments.hpp>
#include <souk/actors/policy/policy.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/cid.hpp>

using namespace std::chrono_literals;

// -- messages of its own ----------------------------------------------------------------------------------------------------

namespace shop {

struct basket {
    std::string buyer;    // DID
    souk::octets payment; // DAG-CBOR of an x402 payment
};
BOOST_DESCRIBE_STRUCT(basket, (), (buyer, payment))

struct till_slip {
    bool sold = false;
    std::string why, transaction;
};
BOOST_DESCRIBE_STRUCT(till_slip, (), (sold, why, transaction))

using souk::inspect; // described structs travel as Souk's own do

using till_actor = souk::typed_actor<caf::result<till_slip>(basket)>;

} // namespace shop

CAF_BEGIN_TYPE_ID_BLOCK(shop, ::souk::first_free_type_id)
    CAF_ADD_TYPE_ID(shop, (shop::basket))
    CAF_ADD_TYPE_ID(shop, (shop::till_slip))
CAF_END_TYPE_ID_BLOCK(shop)

namespace shop {

// -- an actor of its own, that asks Souk's -----------------------------------------------------------------------------------

class till_state {
public:
    using handle = till_actor;
    static constexpr const char* name = "shop.till";

    till_state(handle::pointer self, souk::policy_actor policy, souk::payments_actor payments)
        : self_(self), policy_(std::move(policy)), payments_(std::move(payments)) {}

    handle::behavior_type make_behavior() {
        return {[this](const basket& b) -> caf::result<till_slip> {
            auto slip = self_->make_response_promise<till_slip>();
            souk::policy_question may_buy;
            may_buy.perspective = "bidder";
            may_buy.subject = b.buyer;
            souk::request(*self_, policy_, 5s, may_buy)
                .then(
                    [this, slip, b](const souk::policy_verdict& v) mutable {
                        if (v.allowed) cash(b, std::move(slip));
                        else slip.deliver(till_slip{false, v.reason, ""});
                    },
                    [slip](caf::error& e) mutable { slip.deliver(std::move(e)); });
            return slip;
        }};
    }

private:
    void cash(const basket& b, caf::typed_response_promise<till_slip> slip) {
        souk::request(*self_, payments_, 10s, souk::collect{b.payment, "basket of " + b.buyer, {}})
            .then(
                [slip](const souk::money_moved& m) mutable {
                    slip.deliver(till_slip{m.how == souk::came::yes, m.refused ? m.refused->text : "", m.transaction});
                },
                [slip](caf::error& e) mutable { slip.deliver(std::move(e)); });
    }

    handle::pointer self_;
    souk::policy_actor policy_;
    souk::payments_actor payments_;
};

// -- what the roles stand on --------------------------------------------------------------------------------------------------

souk::instant now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

// Where the shop keeps whom it trusts. A real one would be souk::make_record_network's.
class address_book final : public souk::record_network {
public:
    void denounce(const std::string& by, const std::string& whom) {
        const auto text = souk::to_record(souk::vouch{"denounce", "never paid", souk::to_datetime(now())});
        souk::stored_record r;
        r.uri = {by, std::string(souk::vouch::nsid), whom}, r.cid = souk::cid_of(text), r.value = text;
        of_[by].push_back(std::move(r));
    }
    void fetch(const souk::strong_ref&, std::function<void(souk::result<souk::stored_record>)> tell) override {
        tell(souk::refusal{"record_not_found", "the address book has whole lists only"});
    }
    void list(const std::string& did, const std::string&,
              std::function<void(souk::result<std::vector<souk::stored_record>>)> tell) override {
        tell(of_[did]);
    }
    void keys(const std::string&, std::function<void(souk::result<souk::did_document>)> tell) override {
        tell(souk::refusal{"did_unresolved", "the address book has no keys"});
    }

private:
    std::map<std::string, std::vector<souk::stored_record>> of_;
};

// What a customer sends: an authorisation of the price, signed with the customer's wallet.
souk::octets pay(const souk::embedded_ledger& ledger, const souk::crypto::address& to, const souk::crypto::secret& wallet,
                 const std::string& what) {
    const auto token = ledger.token();
    const souk::x402::requirements price{"exact", ledger.network(), "250", ledger.asset(), to, 300,
                                         souk::value::map{{"name", token.name}, {"version", token.version}}};
    souk::x402::payment_required asked;
    asked.resource.url = "https://shop.example/" + what;
    asked.accepts = {price};
    const auto nonce = souk::x402::nonce_for(souk::cid::of_raw(what), 0);
    return {souk::encode_described(souk::x402::authorise(asked, price, wallet, nonce, now() + 5min).value())};
}

// From a thread that is no actor's.
till_slip ask(caf::actor_system& system, const till_actor& till, basket b) {
    const auto said = std::make_shared<std::promise<souk::result<till_slip>>>();
    souk::ask<till_slip>(system, till, 20s, std::move(b), [said](souk::result<till_slip> s) { said->set_value(std::move(s)); });
    const auto s = said->get_future().get();
    if (!s) throw std::runtime_error(s.error().text);
    return *s;
}

// A system whose actors live on waits for them for ever.
struct staff {
    std::vector<caf::actor> all;
    template <class Handle>
    Handle hire(Handle who) {
        all.push_back(caf::actor_cast<caf::actor>(who));
        return who;
    }
    ~staff() {
        for (const auto& who : all) caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
    }
};

void expect(bool so, const char* what) {
    std::cout << (so ? "yes" : "NO ") << "  " << what << '\n';
    if (!so) throw std::runtime_error(what);
}

void open(const std::filesystem::path& back_room) {
    const std::string self = "did:plc:shop", bob = "did:plc:bob", eve = "did:plc:eve";
    auto till_key = souk::crypto::generate(souk::crypto::curve::k256);
    const auto bobs_key = souk::crypto::generate(souk::crypto::curve::k256);
    const auto till_address = souk::crypto::address_of(till_key).value(), bobs_address = souk::crypto::address_of(bobs_key).value();

    // What the roles stand on outlives the actor system.
    address_book book;
    book.denounce(self, eve);
    souk::sqlite_journal journal(back_room / "journal.db");
    souk::embedded_ledger ledger(back_room / "ledger.db", now);
    expect(ledger.fund(bobs_address, 1'000, "pocket money").has_value(), "the customer has play money");
    souk::payment_world settle(ledger, till_address, std::move(till_key));

    caf::actor_system_config config;
    souk::add_message_types<caf::id_block::souk, caf::id_block::shop>(config);
    caf::actor_system system{config};
    staff at_work;

    souk::policy_options judging;
    judging.self = self;
    judging.now = now;
    const auto policy = at_work.hire(souk::spawn_policy(system, judging, book));

    souk::payments_options collecting;
    collecting.pay_to = till_address;
    collecting.now = now;
    const auto payments = at_work.hire(souk::spawn_payments(system, collecting, journal, ledger, settle));

    const auto till = at_work.hire(shop::till_actor{system.spawn<souk::actor_of<till_state>>(policy, payments)});

    const auto to_eve = ask(system, till, {eve, pay(ledger, till_address, bobs_key, "for eve")});
    expect(!to_eve.sold && to_eve.why.find("denounced") != std::string::npos, "nothing is sold to whom the shop denounced");

    const basket bobs{bob, pay(ledger, till_address, bobs_key, "for bob")};
    const auto to_bob = ask(system, till, bobs);
    expect(to_bob.sold && !to_bob.transaction.empty(), "everyone else may buy");
    const auto again = ask(system, till, bobs);
    expect(again.sold && again.transaction == to_bob.transaction, "the same payment again is the same sale");
    expect(!ask(system, till, {bob, {"no payment"}}).sold, "what is no payment buys nothing");

    const auto left = std::make_shared<std::promise<souk::amount>>();
    ledger.balance(bobs_address, [left](souk::result<souk::amount> a) { left->set_value(a ? *a : -1); });
    expect(left->get_future().get() == 750, "the customer paid once");
}

} // namespace shop

int main(int argc, char** argv) try {
    if (argc != 2) throw std::runtime_error("usage: shop DIRECTORY");
    shop::open(argv[1]);
    return 0;
} catch (const std::exception& e) {
    std::cerr << "shop: " << e.what() << '\n';
    return 1;
}
