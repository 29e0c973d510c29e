#include <souk/backends/rails/ledger.hpp>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>
#include <variant>

#include <souk/backends/rails/ledger_channels.hpp>
#include <souk/backends/rails/ledger_escrow.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>

namespace souk {

namespace {

constexpr const char* set_up =
    "CREATE TABLE IF NOT EXISTS account(address TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS transfer(payer TEXT NOT NULL, nonce TEXT NOT NULL, digest BLOB NOT NULL,"
    " payee TEXT NOT NULL, amount INTEGER NOT NULL, tx TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY(payer, nonce)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS funding(address TEXT NOT NULL, reason TEXT NOT NULL, amount INTEGER NOT NULL,"
    " PRIMARY KEY(address, reason)) WITHOUT ROWID;";

constexpr std::size_t most_waiting = 20'000, most_in_one_commit = 512, longest_reason = 256;
constexpr amount largest = std::numeric_limits<amount>::max();

// Decimal digits, as digest_of has checked; more than fits is the largest, which nobody has and no clock reaches.
std::int64_t saturated(const std::string& digits) {
    std::int64_t n = 0;
    return std::from_chars(digits.data(), digits.data() + digits.size(), n).ec == std::errc() ? n : largest;
}
refusal disk_refusal(const sqlite::failure& e) {
    if (e.full()) return {"disk_full", "nothing was moved: there is no room left to write it down"};
    return {"disk_error", e.what()};
}

// A payment that is signed by the one who pays, in the ledger's own units.
struct transfer {
    std::string payer, payee, nonce, digest, id;
    amount value = 0;
    std::int64_t after_s = 0, before_s = 0;
};

result<transfer> read(const x402::exact_payload& payload, const x402::domain& token) {
    const auto& a = payload.authorization;
    auto digest = x402::digest_of(token, a);
    if (!digest) return refusal{"invalid_payload", digest.error().text};
    const auto signature = payload.signature.starts_with("0x") ? from_hex(std::string_view(payload.signature).substr(2))
                                                               : refusal{"", "not hexadecimal"};
    if (!signature) return refusal{"invalid_exact_evm_signature", "the signature is not 0x and hexadecimal"};
    const auto signer = crypto::recover(*digest, *signature);
    if (!signer) return refusal{"invalid_exact_evm_signature", signer.error().text};
    if (!crypto::same_address(*signer, a.from)) return refusal{"invalid_exact_evm_signature", "not signed by the one who pays"};
    if (a.to.find_first_not_of('0', 2) == a.to.npos) return refusal{"invalid_payload", "the zero address cannot be paid"};
    auto id = "0x" + to_hex(crypto::sha256("souk development ledger transfer" + *digest));
    return transfer{lower(a.from), lower(a.to),        lower(a.nonce),          std::move(*digest),
                    std::move(id), saturated(a.value), saturated(a.validAfter), saturated(a.validBefore)};
}

} // namespace

class embedded_ledger::impl {
public:
    impl(const std::filesystem::path& file, std::function<instant()> now, std::int64_t largest_file)
        : owner_(file), db_(file, largest_file), now_(std::move(now)) {
        db_.run(set_up);
        db_.run(ledger_channels::set_up);
        db_.run(ledger_escrow::set_up);
        at_.emplace(db_);
        channels_.emplace(db_, token_, development_channels());
        escrow_.emplace(db_, token_, development_escrow());
        if (sum(at_->supply) != sum(at_->funded))
            throw std::runtime_error("the ledger " + file.string() + " does not add up: it is damaged");
        worker_ = std::thread([this] { work(); });
    }
    ~impl() {
        {
            const std::lock_guard hold(queue_guard_);
            stopping_ = true;
        }
        arrived_.notify_one();
        worker_.join();
    }

    const x402::domain& token() const { return token_; }

    result<void> fund(const std::string& address, amount value, const std::string& reason) {
        const auto checked = crypto::checksummed(address);
        if (!checked) return checked.error();
        if (value <= 0 || reason.empty() || reason.size() > longest_reason)
            return refusal{"bad_amount", "a positive amount for a reason is needed"};
        const std::lock_guard hold(db_guard_);
        try {
            sqlite::transaction t(db_);
            const auto to = lower(*checked);
            const bool done = at_->find_funding.bind(to, reason).row();
            at_->find_funding.reset();
            if (done) return {};
            if (value > largest - sum(at_->supply)) return refusal{"bad_amount", "more than the supply can hold"};
            at_->funding.bind(to, reason, value).row();
            at_->credit.bind(to, value).row();
            t.commit();
            return {};
        } catch (const sqlite::failure& e) {
            return disk_refusal(e);
        }
    }
    amount supply() {
        const std::lock_guard hold(db_guard_);
        return sum(at_->supply);
    }

    void settle(const x402::exact_payload& payload, std::function<void(settle_answer)> tell) {
        const std::unique_lock hold(queue_guard_);
        if (settling_ >= most_waiting) {
            queue_.emplace_back([tell = std::move(tell)] {
                tell({moved::no, "", {"rail_busy", "too many payments are waiting"}});
            });
        } else {
            ++settling_;
            queue_.emplace_back(settlement{payload, std::move(tell), {}});
        }
        arrived_.notify_one();
    }
    void read_later(std::function<void()> what) {
        const std::lock_guard hold(queue_guard_);
        queue_.emplace_back(std::move(what));
        arrived_.notify_one();
    }
    // In the order of the calls, a commit each: they are few beside what their vouchers and requests move.
    void on_channels(std::function<channel_answer(ledger_channels&, instant now)> what, channel_rail::tell_books tell) { carry_out(channels_, std::move(what), std::move(tell)); }
    void in_escrow(std::function<escrow_answer(ledger_escrow&, instant now)> what, escrow_rail::tell_escrow tell) { carry_out(escrow_, std::move(what), std::move(tell)); }
    result<amount> free_of(const std::string& owner) {
        const auto checked = crypto::checksummed(owner);
        if (!checked) return checked.error();
        const std::lock_guard hold(db_guard_);
        try {
            return escrow_->free_of(owner);
        } catch (const sqlite::failure& e) {
            return disk_refusal(e);
        }
    }
    look_up_answer look_up(const x402::authorization& of) {
        const std::lock_guard hold(db_guard_);
        try {
            look_up_answer a{moved::no, "", now_()};
            if (at_->find.bind(lower(of.from), lower(of.nonce)).row()) {
                const bool this_one = (of.to.empty() || at_->find.text(2) == lower(of.to)) && (of.value.empty() || std::to_string(at_->find.number(3)) == of.value);
                if (this_one) a.how = moved::yes, a.transaction = at_->find.text(1);
                else a.spent = true;
            }
            at_->find.reset();
            return a;
        } catch (const sqlite::failure&) {
            return {moved::unknown, "", now_()};
        }
    }
    result<amount> balance(const std::string& address) {
        const auto checked = crypto::checksummed(address);
        if (!checked) return checked.error();
        const std::lock_guard hold(db_guard_);
        try {
            return balance_of(lower(*checked));
        } catch (const sqlite::failure& e) {
            return disk_refusal(e);
        }
    }

private:
    struct settlement {
        x402::exact_payload payload;
        std::function<void(settle_answer)> tell;
        settle_answer answer;
    };
    struct deed { // on a channel, or in the escrow
        std::function<void()> done;
    };
    using job = std::variant<settlement, deed, std::function<void()>>;

    struct statements {
        explicit statements(sqlite::database& db)
            : find(db, "SELECT digest, tx, payee, amount FROM transfer WHERE payer = ? AND nonce = ?"),
              balance(db, "SELECT balance FROM account WHERE address = ?"),
              debit(db, "UPDATE account SET balance = balance - ?2 WHERE address = ?1"),
              credit(db, "INSERT INTO account VALUES(?1, ?2) ON CONFLICT(address) DO UPDATE SET balance = balance + ?2"),
              insert(db, "INSERT INTO transfer(payer, nonce, digest, payee, amount, tx, at_ms) VALUES(?, ?, ?, ?, ?, ?, ?)"),
              find_funding(db, "SELECT 1 FROM funding WHERE address = ? AND reason = ?"),
              funding(db, "INSERT INTO funding VALUES(?, ?, ?)"),
              supply(db, (std::string("SELECT (SELECT coalesce(sum(balance), 0) FROM account) + (SELECT coalesce(sum(balance - claimed), 0) FROM channel) + ") + ledger_escrow::held).c_str()),
              funded(db, "SELECT coalesce(sum(amount), 0) FROM funding") {}
        sqlite::statement find, balance, debit, credit, insert, find_funding, funding, supply, funded;
    };

    static amount sum(sqlite::statement& s) {
        s.bind().row();
        const auto n = s.number(0);
        s.reset();
        return n;
    }
    amount balance_of(const std::string& address) {
        const amount n = at_->balance.bind(address).row() ? at_->balance.number(0) : 0;
        at_->balance.reset();
        return n;
    }

    template <class Part, class Answer>
    void carry_out(std::optional<Part>& part, std::function<Answer(Part&, instant now)> what, std::function<void(Answer)> tell) {
        const std::lock_guard hold(queue_guard_);
        if (settling_ >= most_waiting) {
            queue_.emplace_back([tell = std::move(tell)] {
                Answer busy;
                busy.how = moved::no, busy.why = {"rail_busy", "too much is waiting"};
                tell(std::move(busy));
            });
        } else {
            ++settling_;
            queue_.emplace_back(deed{[this, &part, what = std::move(what), tell = std::move(tell)] { tell(carried_out(*part, what)); }});
        }
        arrived_.notify_one();
    }

    // -- the ledger's thread --------------------------------------------------------------------------------------------

    void work() {
        for (;;) {
            auto batch = next();
            if (batch.empty()) return;
            for (auto at = batch.begin(); at != batch.end();) {
                if (auto* read = std::get_if<std::function<void()>>(&*at)) {
                    (*read)();
                    ++at;
                    continue;
                }
                if (auto* d = std::get_if<deed>(&*at)) {
                    d->done();
                    ++at;
                    continue;
                }
                std::vector<settlement*> together; // up to the next read, so that answers are in the order of the questions
                for (; at != batch.end() && std::holds_alternative<settlement>(*at); ++at)
                    together.push_back(&std::get<settlement>(*at));
                settle_all(together);
            }
        }
    }
    std::deque<job> next() {
        std::unique_lock hold(queue_guard_);
        arrived_.wait(hold, [this] { return stopping_ || !queue_.empty(); });
        std::deque<job> batch;
        while (!queue_.empty() && batch.size() < most_in_one_commit) {
            if (!std::holds_alternative<std::function<void()>>(queue_.front())) --settling_;
            batch.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        return batch;
    }
    template <class Part, class Answer>
    Answer carried_out(Part& part, const std::function<Answer(Part&, instant)>& what) {
        const std::lock_guard hold(db_guard_);
        bool committing = false;
        try {
            sqlite::transaction t(db_);
            auto said = what(part, now_());
            if (said.how != moved::yes) return said;
            committing = true;
            t.commit();
            return said;
        } catch (const sqlite::failure& e) {
            // A commit that failed for want of room did not happen; one that failed otherwise may have.
            Answer failed;
            failed.how = committing && !e.full() ? moved::unknown : moved::no, failed.why = disk_refusal(e);
            return failed;
        }
    }
    void settle_all(const std::vector<settlement*>& all) {
        std::vector<std::pair<settlement*, transfer>> good;
        for (auto* s : all) {
            auto t = read(s->payload, token_);
            if (t) good.emplace_back(s, std::move(*t));
            else s->answer = {moved::no, "", t.error()};
        }
        if (!commit(good) && good.size() > 1) // one that found no room does not take the others with it
            for (auto& one : good) commit({std::move(one)});
        for (auto* s : all) s->tell(std::move(s->answer));
    }
    bool commit(const std::vector<std::pair<settlement*, transfer>>& all) {
        if (all.empty()) return true;
        const std::lock_guard hold(db_guard_);
        bool committing = false;
        try {
            sqlite::transaction t(db_);
            for (const auto& [s, what] : all) s->answer = apply(what);
            committing = true;
            t.commit();
            return true;
        } catch (const sqlite::failure& e) {
            // A commit that failed for want of room did not happen; one that failed otherwise may have.
            const auto how = committing && !e.full() ? moved::unknown : moved::no;
            for (const auto& [s, what] : all) s->answer = {how, "", disk_refusal(e)};
            return how == moved::unknown;
        }
    }
    settle_answer apply(const transfer& t) {
        const auto no = [](const char* code, std::string why) { return settle_answer{moved::no, "", {code, std::move(why)}}; };
        if (at_->find.bind(t.payer, t.nonce).row()) {
            const auto digest = at_->find.text(0), id = at_->find.text(1);
            at_->find.reset();
            if (digest == t.digest) return {moved::yes, id, {}};
            return no("invalid_exact_evm_nonce_already_used", "this nonce has paid for something else");
        }
        const auto now_ms = now_().time_since_epoch().count(), now_s = now_ms / 1000;
        if (now_s >= t.before_s) return no("invalid_exact_evm_payload_authorization_valid_before", "the authorisation has expired");
        if (now_s < t.after_s)
            return no("invalid_exact_evm_payload_authorization_valid_after", "the authorisation is not valid yet");
        if (balance_of(t.payer) < t.value) return no("invalid_exact_evm_insufficient_balance", "the payer's balance is too small");
        at_->debit.bind(t.payer, t.value).row(); // no overflow: every balance is part of a supply that fits
        at_->credit.bind(t.payee, t.value).row();
        at_->insert.bind(t.payer, t.nonce, sqlite::blob{t.digest}, t.payee, t.value, t.id, std::int64_t{now_ms}).row();
        return {moved::yes, t.id, {}};
    }

    const x402::domain token_ = development_token();
    sqlite::sole_owner owner_;
    sqlite::database db_;
    const std::function<instant()> now_;
    std::mutex db_guard_;
    std::optional<statements> at_;
    std::optional<ledger_channels> channels_;
    std::optional<ledger_escrow> escrow_;

    std::mutex queue_guard_;
    std::condition_variable arrived_;
    std::deque<job> queue_;
    std::size_t settling_ = 0;
    bool stopping_ = false;
    std::thread worker_;
};

x402::domain development_token() {
    return {"Souk development ledger", "1", x402::development_chain, crypto::checksummed("0x" + to_hex(crypto::keccak256("souk development ledger").substr(12))).value()};
}

evm::channel::place development_channels() {
    const auto named = [](const char* what) { return crypto::checksummed("0x" + to_hex(crypto::keccak256(std::string("souk development ledger ") + what).substr(12))).value(); };
    return {x402::development_chain, named("channels"), named("deposits")};
}
evm::escrow::place development_escrow() {
    return {x402::development_chain, crypto::checksummed("0x" + to_hex(crypto::keccak256("souk development ledger escrow").substr(12))).value()};
}

embedded_ledger::embedded_ledger(const std::filesystem::path& file, std::function<instant()> now, std::int64_t largest_file)
    : impl_(std::make_unique<impl>(file, std::move(now), largest_file)) {}
embedded_ledger::~embedded_ledger() = default;

result<void> embedded_ledger::fund(const std::string& address, amount value, const std::string& reason) {
    return impl_->fund(address, value, reason);
}
amount embedded_ledger::supply() const { return impl_->supply(); }
std::string embedded_ledger::network() const { return std::string(x402::development_network); }
x402::domain embedded_ledger::token() const { return impl_->token(); }
std::string embedded_ledger::asset() const { return impl_->token().contract; }
void embedded_ledger::settle(const x402::exact_payload& payload, std::function<void(settle_answer)> tell) {
    impl_->settle(payload, std::move(tell));
}
void embedded_ledger::look_up(const x402::authorization& of, std::function<void(look_up_answer)> tell) {
    impl_->read_later([in = impl_.get(), of, tell = std::move(tell)] { tell(in->look_up(of)); });
}
void embedded_ledger::balance(const std::string& address, std::function<void(result<amount>)> tell) {
    impl_->read_later([in = impl_.get(), address, tell = std::move(tell)] { tell(in->balance(address)); });
}

evm::channel::place embedded_ledger::channels() const { return development_channels(); }
void embedded_ledger::fill(const evm::channel::config& c, const evm::channel::deposit& d, tell_books tell) {
    impl_->on_channels([c, d](ledger_channels& in, instant now) { return in.fill(c, d, now); }, std::move(tell));
}
void embedded_ledger::look(const evm::channel::config& c, tell_books tell) {
    impl_->on_channels([c](ledger_channels& in, instant now) { return in.look(c, now); }, std::move(tell));
}
void embedded_ledger::claim(const evm::channel::claim& what, const std::string& signature, tell_books tell) {
    impl_->on_channels([what, signature](ledger_channels& in, instant now) { return in.claim(what, signature, now); }, std::move(tell));
}
void embedded_ledger::give_back(const evm::channel::config& c, amount much, std::int64_t nonce, const std::string& signature, tell_books tell) {
    impl_->on_channels([c, much, nonce, signature](ledger_channels& in, instant now) { return in.give_back(c, much, nonce, signature, now); }, std::move(tell));
}
void embedded_ledger::begin_withdrawal(const evm::channel::config& c, amount much, const crypto::secret& by, tell_books tell) {
    const auto who = crypto::address_of(by);
    if (!who) return tell({moved::no, who.error(), {}, {}});
    begin_withdrawal_by(c, much, *who, std::move(tell));
}
void embedded_ledger::complete_withdrawal(const evm::channel::config& c, const crypto::secret& by, tell_books tell) {
    const auto who = crypto::address_of(by);
    if (!who) return tell({moved::no, who.error(), {}, {}});
    complete_withdrawal_by(c, *who, std::move(tell));
}
void embedded_ledger::begin_withdrawal_by(const evm::channel::config& c, amount much, const crypto::address& by, tell_books tell) {
    impl_->on_channels([c, much, by](ledger_channels& in, instant now) { return in.begin_withdrawal(c, much, by, now); }, std::move(tell));
}
void embedded_ledger::complete_withdrawal_by(const evm::channel::config& c, const crypto::address& by, tell_books tell) {
    impl_->on_channels([c, by](ledger_channels& in, instant now) { return in.complete_withdrawal(c, by, now); }, std::move(tell));
}

evm::escrow::place embedded_ledger::escrow() const { return development_escrow(); }
void embedded_ledger::look_at(const escrow_source& of, const std::vector<std::string>& nonces, tell_escrow tell) {
    impl_->in_escrow([of, nonces](ledger_escrow& in, instant now) { return in.look_at(of, nonces, now); }, std::move(tell));
}
void embedded_ledger::free_of(const std::string& owner, std::function<void(result<amount>)> tell) {
    impl_->read_later([in = impl_.get(), owner, tell = std::move(tell)] { tell(in->free_of(owner)); });
}
void embedded_ledger::consume(const std::vector<evm::escrow::signed_request>& all, const crypto::secret& by, tell_escrow tell) {
    const auto who = crypto::address_of(by);
    if (!who) return tell({moved::no, who.error(), {}, {}, {}, {}});
    consume_by(all, *who, std::move(tell));
}
void embedded_ledger::carry_out(const escrow_order& o, const crypto::secret& by, tell_escrow tell) {
    const auto who = crypto::address_of(by);
    if (!who) return tell({moved::no, who.error(), {}, {}, {}, {}});
    carry_out_by(o, *who, std::move(tell));
}
void embedded_ledger::consume_by(const std::vector<evm::escrow::signed_request>& all, const crypto::address& by, tell_escrow tell) {
    impl_->in_escrow([all, by](ledger_escrow& in, instant now) { return in.consume(all, by, now); }, std::move(tell));
}
void embedded_ledger::carry_out_by(const escrow_order& o, const crypto::address& by, tell_escrow tell) {
    impl_->in_escrow([o, by](ledger_escrow& in, instant now) { return in.carry_out(o, by, now); }, std::move(tell));
}

} // namespace souk
