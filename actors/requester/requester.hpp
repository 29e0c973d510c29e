// Alice's side of the market: what she buys, from whom, and what she pays.
#pragma once
#include <souk/actors/common/service_call.hpp>
#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/requester/dealings.hpp>
#include <souk/actors/requester/purchase.hpp>
#include <souk/actors/requester/spending_book.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/rails/channel_rail.hpp>
#include <souk/backends/records/network.hpp>

namespace souk {

class bookkeeper;

struct requester_options {
    std::string did;
    std::string door;                          // of this node, "https://host:port": where the fourth generation's answers are sent; "": nowhere
    dialect speaks = dialect::g1;              // what requests are written in
    std::string relay;                         // DID of the relay that may write this account's machine keys; "": none
    std::chrono::seconds grant_life{24 * 3600}; // of that permission
    std::string writes_at;                     // where that relay writes, if not at the account's host: this node's door; may be empty
    std::function<instant()> now;
    std::size_t shards = 2;
    on_trouble trouble; // of effects that did not come off; may be empty
    std::shared_ptr<bookkeeper> books; // told of what moves; may be empty
    std::shared_ptr<past_dealings> past; // for rules about history; may be empty
    std::shared_ptr<spending_book> spending; // limits, and from when on a person is asked; empty: there are none
    service::ports calls; // to bids' submitAccept; without a key none are made
    // Where channels are: contracts are paid while they run, where sellers take that on no longer a withdrawal than this. None: by authorisations. The rail
    // must outlive the actor.
    channel_rail* channels = nullptr;
    bool streams = true; // else only what was begun so goes on
    std::shared_ptr<const crypto::secret> authorizer; // signs vouchers, and withdraws: on a chain a key that pays gas. None: the wallet's
    std::chrono::seconds longest_withdrawal{24 * 3600};
};

struct requester_roles {
    signer_actor signer;
    policy_actor policy;
    broker_actor broker; // may be empty
    offerings_actor offerings; // may be empty: requests are published, and sent to nobody
};

// A bid as it counts, from its record and what it consists of: priced, with its end. Codes of read_bid, price_of, "bid_without_end".
result<purchase::offer> offer_of(const strong_ref& ref, const at_uri& uri, const value& record, const std::vector<value>& parts);
// What the policy engine is asked about a bid.
policy_question question_of(const strong_ref& rfp, const purchase::offer&, const purchase::terms&);
// The paid URL of a bid for an accept: {at} and {cid} filled in. Codes "bad_paid_url".
result<std::string> paid_url(const ccb&, const strong_ref& accept);

class purchase_world final : public performer<purchase> {
public:
    purchase_world(caf::actor_system& sys, requester_options options, requester_roles roles, record_network& net, http::fetcher web, payment_rail& rail, const keyring& keys)
        : sys_(sys), options_(std::move(options)), roles_(std::move(roles)), net_(net), web_(std::move(web)), rail_(rail), keys_(keys) {}
    void perform(const purchase::publish_request&, reply_to<purchase::publish_request>) override;
    void perform(const purchase::find_sellers&, reply_to<purchase::find_sellers>) override;
    void perform(const purchase::tell_seller&, reply_to<purchase::tell_seller>) override;
    void perform(const purchase::judge&, reply_to<purchase::judge>) override;
    void perform(const purchase::grant&, reply_to<purchase::grant>) override;
    void perform(const purchase::publish_accept&, reply_to<purchase::publish_accept>) override;
    void perform(const purchase::pay&, reply_to<purchase::pay>) override;
    void perform(const purchase::look_up&, reply_to<purchase::look_up>) override;
    void perform(const purchase::fetch_receipt&, reply_to<purchase::fetch_receipt>) override;
    void perform(const purchase::publish_stop&, reply_to<purchase::publish_stop>) override;
    void perform(const purchase::find_statement&, reply_to<purchase::find_statement>) override;
    void perform(const purchase::promise&, reply_to<purchase::promise>) override;
    void perform(const purchase::take_out&, reply_to<purchase::take_out>) override;

private:
    using paying = reply_to<purchase::pay>;
    // Asks the policy once more, and goes on, or says that he is denied; `tell` hears when neither can be told now.
    template <class Effect>
    void if_still_allowed(const Effect&, reply_to<Effect> tell, std::function<void()> go_on, std::function<void(policy_verdict)> denied);
    template <class Effect>
    void take_back(const Effect&, policy_verdict, reply_to<Effect>);
    // Goes on when there is room for it within the limits, durably; `over` hears why not; `later` when that cannot be told now.
    void within_limits(const std::string& key, const std::string& to, amount, instant until, std::function<void()> go_on, std::function<void(refusal)> over, std::function<void(std::string)> later);
    void give_grant(const purchase::grant&, reply_to<purchase::grant>);
    void write_accept(const purchase::publish_accept&, reply_to<purchase::publish_accept>);
    void send_stop(const purchase::publish_stop&, const strong_ref& stop);
    void pay_within_limits(const purchase::pay&, const std::string& url, const http::response& demand, paying);
    void send_payment(const purchase::pay&, const std::string& url, const http::response& demand, paying);
    const crypto::secret& authorizer() const { return options_.authorizer ? *options_.authorizer : keys_.wallet(); }
    // The terms on which this seller can be paid from a channel; none: he cannot be, or not on terms that were asked for.
    std::optional<purchase_stream> stream_with(const purchase::pay&, const x402::payment_required&) const;
    void send_deposit(const purchase::pay&, const std::string& url, paying) const;
    void look_into(const purchase::look_up&, reply_to<purchase::look_up>) const;
    void send_payment(const purchase::pay&, const std::string& url, const std::string& header, const paying&) const;
    static void read_answer(const purchase::pay&, const http::response&, const paying&);

    caf::actor_system& sys_;
    requester_options options_;
    requester_roles roles_;
    record_network& net_;
    http::fetcher web_;
    payment_rail& rail_;
    const keyring& keys_;
};

requester_actor spawn_requester(caf::actor_system&, requester_options, requester_roles, journal&, record_network&, const keyring&, performer<purchase>&);

} // namespace souk
