// Pays at any door that asks by x402 (versions 2 and 1): `exact`, by an authorisation or by a permit, and `upto`.
#pragma once
#include <souk/backends/http/client.hpp>
#include <souk/backends/rails/rail.hpp>

namespace souk {

class bookkeeper;

struct to_pay {
    std::string url;
    std::string id;   // whoever gives the same one again for the same URL pays once: the authorisation's nonce comes of the two
    amount most = 0;  // atomic units
};
struct paid_for {
    std::int64_t status = 0;
    std::string type, body;          // as they came; at most 1 MiB
    bool paid = false;
    std::int64_t value = 0;               // authorised, and, if `paid`, moved: of `upto` what the seller says that it came to
    std::string to, nonce, transaction, network;
};
BOOST_DESCRIBE_STRUCT(paid_for, (), (status, type, body, paid, value, to, nonce, transaction, network))

struct purse { // all of it must outlive the payment
    http::fetcher web;
    payment_rail& rail;
    const crypto::secret& key;
    std::function<instant()> now;
    std::shared_ptr<bookkeeper> books; // in which it is promised before it is signed; may be empty
    // Asked before anything is signed: value, to and nonce, and when it can last be moved. Its refusal is the payment's. Empty: there are no limits.
    std::function<void(const paid_for&, instant until, std::function<void(result<void>)>)> within_limits = {};
};

// Once, on any thread. What asks for no payment is answered as it is. Beside those of x402::choose and of http::client, codes "payment_refused" (nothing
// moved, as far as the seller says), "payment_unknown" (it was authorised and may yet move: the same id again finds out, and pays nothing twice),
// "paid_unserved" (the rail has it, and no answer came), "permit2_allowance_required" (the wallet has to approve the token to Permit2 first),
// "paid_otherwise" (the same id is paid by an authorisation, and a permit is asked for now; or the other way about).
void pay(purse, to_pay, std::function<void(result<paid_for>)>);

} // namespace souk
