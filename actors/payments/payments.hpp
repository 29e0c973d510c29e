// The payment verifier: takes authorisations for accepts, settles them on a rail, pays back what is owed back.
#pragma once
#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/payments/payment.hpp>
#include <souk/backends/rails/rail.hpp>

namespace souk {

class bookkeeper;

struct payments_options {
    crypto::address pay_to;
    std::function<instant()> now;
    std::size_t shards = 2;
    std::chrono::milliseconds answer_within{20'000}; // a caller hears "unknown" then, and asks again
    on_trouble trouble; // of effects that did not come off; may be empty
    std::shared_ptr<bookkeeper> books; // told of what moves; may be empty
};

// What the entity's effects are on a real rail. `wallet` signs what goes back.
class payment_world final : public performer<payment> {
public:
    payment_world(payment_rail& rail, crypto::address own, crypto::secret wallet) : rail_(rail), own_(std::move(own)), wallet_(std::move(wallet)) {}
    void perform(const payment::move&, reply_to<payment::move>) override;
    void perform(const payment::look_up&, reply_to<payment::look_up>) override;
    void perform(const payment::give_back&, reply_to<payment::give_back>) override;

private:
    payment_rail& rail_;
    crypto::address own_;
    crypto::secret wallet_;
};

// All references must outlive the actor.
payments_actor spawn_payments(caf::actor_system&, payments_options, journal&, payment_rail&, performer<payment>&);

} // namespace souk
