// x402's facilitator: others' payments, judged and brought to this node's rail: `exact` by authorisation or by permit, and `upto`. POST
// /facilitator/verify and /settle, GET /facilitator/supported; versions 2 and 1. A business answer is HTTP 200 whichever way it goes.
#pragma once
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <souk/backends/http/server.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct facilitator_terms {
    std::map<std::string, std::string> callers; // name -> SHA-256 of the bearer token, in hexadecimal
    bool open = false;                          // to everybody: their gas is this node's
};

class facilitator_door : public std::enable_shared_from_this<facilitator_door> { // what is asked holds it
public:
    facilitator_door(caf::actor_system* sys, payments_actor payments, std::function<instant()> now, facilitator_terms terms)
        : sys_(sys), payments_(std::move(payments)), now_(std::move(now)), terms_(std::move(terms)) {}

    static bool is_one(const http::request&);
    void answer(const http::request&, http::responder);

private:
    struct question;

    std::optional<std::string> caller(const http::request&) const; // who asks; none: nobody that may
    static result<question> read(const http::request&);
    static result<void> settle_what_is_asked(question&);
    void verify(const question&, http::responder);
    void settle(const std::string& who, const std::string& again, const question&, http::responder);
    void supported(http::responder);

    // A payment is answered with success once, to who brought it: whoever is told of it twice might serve twice. A question whose answer was
    // "settlement_pending" may be asked again, and so may one that says by its Idempotency-Key that it is the same. That is the caller's own word: a
    // payment-identifier is the payer's, who may send one payment many times.
    static constexpr std::size_t longest_again = 128;
    struct told {
        std::string by, again;
        bool asking = false, done = false;
    };
    enum class may_ask { yes, same_again, later, no };
    may_ask begin(const std::string& key, const std::string& who, const std::string& again);
    void end(const std::string& key, bool done);

    caf::actor_system* sys_;
    payments_actor payments_;
    std::function<instant()> now_;
    facilitator_terms terms_;
    std::mutex guard_;
    std::unordered_map<std::string, told> told_;
    std::list<std::string> order_; // the oldest first
    std::atomic<std::size_t> turn_ = 0;
};

} // namespace souk
