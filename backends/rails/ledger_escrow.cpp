#include <souk/backends/rails/ledger_escrow.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk {

namespace {

namespace es = evm::escrow;
constexpr amount largest = std::numeric_limits<amount>::max();
constexpr std::string_view nobody = "0x0000000000000000000000000000000000000000";
constexpr std::size_t longest_name = 256;

// Decimal digits, checked before; more than fits is the largest, which nobody has.
amount saturated(const std::string& digits) {
    amount n = 0;
    return std::from_chars(digits.data(), digits.data() + digits.size(), n).ec == std::errc() ? n : largest;
}
std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }
escrow_answer no(refusal why) {
    escrow_answer a;
    a.how = moved::no, a.why = std::move(why);
    return a;
}
// An account that money can be given to, as it is written in the tables.
result<std::string> somebody(const std::string& address) {
    const auto checked = crypto::checksummed(address);
    if (!checked) return checked.error();
    auto who = lower(*checked);
    if (who == nobody) return refusal{"bad_party", "the zero address is nobody"};
    return who;
}
std::string transaction_of(std::string_view what) { return "0x" + to_hex(crypto::sha256("souk development ledger escrow" + std::string(what))); }

} // namespace

ledger_escrow::ledger_escrow(sqlite::database& db, x402::domain token, es::place place)
    : token_(std::move(token)), place_(std::move(place)), own_(db, "SELECT amount FROM escrow_own WHERE owner = ?"),
      add_(db, "INSERT INTO escrow_own VALUES(?1, ?2) ON CONFLICT(owner) DO UPDATE SET amount = amount + ?2"), take_(db, "UPDATE escrow_own SET amount = amount - ?2 WHERE owner = ?1"),
      find_(db, "SELECT budget, price, leaving, since_s FROM escrow_allowance WHERE payer = ? AND provider = ?"),
      keep_(db, "INSERT INTO escrow_allowance VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(payer, provider) DO UPDATE SET budget = ?3, price = ?4, leaving = ?5, since_s = ?6"),
      find_credit_(db, "SELECT grantor, payer, provider, left, expires_s FROM escrow_credit WHERE number = ?"), credit_(db, "UPDATE escrow_credit SET left = ?2 WHERE number = ?1"),
      grant_(db, "INSERT INTO escrow_credit(grantor, payer, provider, left, expires_s) VALUES(?, ?, ?, ?, ?) RETURNING number"),
      used_(db, "SELECT digest FROM escrow_used WHERE payer = ? AND provider = ? AND nonce = ?"), use_(db, "INSERT INTO escrow_used VALUES(?, ?, ?, ?)"),
      order_(db, "SELECT digest, credit, tx FROM escrow_order WHERE owner = ? AND once = ?"), ordered_(db, "INSERT INTO escrow_order VALUES(?, ?, ?, ?, ?)"),
      balance_(db, "SELECT balance FROM account WHERE address = ?"), debit_(db, "UPDATE account SET balance = balance - ?2 WHERE address = ?1"),
      pay_(db, "INSERT INTO account VALUES(?1, ?2) ON CONFLICT(address) DO UPDATE SET balance = balance + ?2") {}

escrow_answer ledger_escrow::look_at(const escrow_source& of, const std::vector<std::string>& nonces, instant now) {
    escrow_answer a;
    const auto payer = lower(of.payer), provider = lower(of.provider);
    a.how = moved::yes, a.books.as_of = now;
    if (!crypto::same_address(of.token, token_.contract)) a.books.fits = false; // of another token it has none
    else if (of.credit == "0") {
        const auto x = find(payer, provider);
        a.books.budget = x.budget, a.books.price = x.price, a.books.leaving = std::min(x.leaving, x.budget), a.books.leaving_since = instant{std::chrono::seconds{x.since_s}};
    } else if (const auto c = find_credit(of.credit); c && c->payer == payer && c->provider == provider) {
        a.books.budget = a.books.price = c->left, a.books.expires = instant{std::chrono::seconds{c->expires_s}};
    } else {
        a.books.fits = false;
    }
    for (const auto& n : nonces) {
        const auto name = lower(n);
        if (used_.bind(payer, provider, name).row()) a.books.used.push_back(n);
        used_.reset();
    }
    return a;
}

// -- the provider's pay -------------------------------------------------------------------------------------------------------

std::optional<refusal> ledger_escrow::judge(const es::signed_request& s, const std::string& by, std::int64_t now_s, spent& so_far) {
    const auto& r = s.request;
    const auto digest = es::digest_of(place_, r);
    if (!digest) return digest.error();
    const auto payer = lower(r.payer), nonce = lower(r.nonce);
    if (lower(r.provider) != by) return refusal{"not_provider", "it is another's to present"};
    if (!crypto::same_address(r.token, token_.contract)) return refusal{"wrong_token", "the ledger has one token, " + token_.contract};
    if (used_.bind(payer, by, nonce).row()) {
        const bool this_one = used_.text(0) == *digest;
        used_.reset();
        if (this_one) return refusal{"consumed", "it was presented before"};
        return refusal{"used", "this nonce has paid for something else"};
    }
    if (!so_far.nonces.insert(payer + nonce).second) return refusal{"used", "two of one nonce"};
    if (now_s > r.expires) return refusal{"expired", "the request's time is over"};
    if (const auto good = es::check_signature(place_, s); !good) return good.error();
    const auto price = saturated(r.price);
    if (price == 0) return refusal{"no_amount", "a request costs something"};
    if (r.credit == "0") {
        auto& a = so_far.allowances.try_emplace(payer, find(payer, by)).first->second;
        if (price > a.price) return refusal{"price_too_high", "a request costs " + std::to_string(a.price) + " at most"};
        if (price > a.budget) return refusal{"beyond_budget", "the budget is used up"};
        a.budget -= price;
        return std::nullopt;
    }
    auto at = so_far.credits.find(r.credit);
    if (at == so_far.credits.end()) {
        auto c = find_credit(r.credit);
        if (!c) return refusal{"wrong_credit", "there is no such credit"};
        at = so_far.credits.emplace(r.credit, std::move(*c)).first;
    }
    auto& c = at->second;
    if (c.payer != payer || c.provider != by) return refusal{"wrong_credit", "the credit is for others"};
    if (now_s > c.expires_s) return refusal{"expired", "the credit's day is over"};
    if (price > c.left) return refusal{"beyond_credit", "the credit is used up"};
    c.left -= price;
    return std::nullopt;
}

escrow_answer ledger_escrow::consume(const std::vector<es::signed_request>& all, const crypto::address& by, instant now) {
    if (all.empty() || all.size() > es::most_requests) return no({"too_many", "one to " + std::to_string(es::most_requests) + " requests in one call"});
    const auto provider = lower(by);
    spent so_far;
    escrow_answer a;
    std::size_t before = 0;
    for (const auto& s : all)
        if (auto why = judge(s, provider, seconds_of(now), so_far)) {
            before += why->code == "consumed";
            a.bad.push_back({s.request.nonce, std::move(*why)});
        }
    std::string what;
    for (const auto& s : all) what += '/' + lower(s.request.payer) + lower(s.request.nonce);
    const escrow_source of{all[0].request.payer, all[0].request.provider, all[0].request.token, all[0].request.credit};
    std::vector<std::string> nonces;
    for (const auto& s : all) nonces.push_back(s.request.nonce);
    if (!a.bad.empty() && before < all.size()) { // all or none
        a.how = moved::no, a.why = a.bad.front().why;
        return a;
    }
    if (a.bad.empty()) {
        amount earned = 0; // it fits: it is part of a supply that does
        for (const auto& s : all) {
            earned += saturated(s.request.price);
            const auto payer = lower(s.request.payer), nonce = lower(s.request.nonce), digest = es::digest_of(place_, s.request).value();
            use_.bind(payer, provider, nonce, sqlite::blob{digest}).row();
        }
        for (const auto& [payer, x] : so_far.allowances) keep(payer, provider, x);
        for (const auto& [number, c] : so_far.credits) credit_.bind(saturated(number), c.left).row();
        add(provider, earned);
    }
    a = look_at(of, nonces, now);
    a.transaction = transaction_of(provider + what);
    return a;
}

// -- what one does with one's own -------------------------------------------------------------------------------------------------

escrow_answer ledger_escrow::carry_out(const escrow_order& o, const crypto::address& by, instant now) {
    if (o.once.empty() || o.once.size() > longest_name) return no({"bad_name", "an order has a name of 256 bytes at most"});
    const auto owner = lower(by);
    const auto digest = crypto::sha256(encode_described(o));
    escrow_answer a;
    const bool allowance_of_ours = o.what == "approve" || o.what == "announce" || o.what == "release";
    const auto books = [&] {
        if (allowance_of_ours) return look_at({owner, o.provider, token_.contract, "0"}, {}, now);
        if (o.what == "give_back") return look_at({o.payer, owner, token_.contract, "0"}, {}, now);
        escrow_answer none;
        none.how = moved::yes, none.books.as_of = now;
        return none;
    };
    if (order_.bind(owner, o.once).row()) {
        const bool this_one = order_.text(0) == digest;
        const auto granted = order_.text(1), tx = order_.text(2);
        order_.reset();
        if (!this_one) return no({"order_conflict", "this name was given to another order"});
        a = books();
        a.credit = granted, a.transaction = tx;
        return a;
    }
    std::string granted;
    if (auto why = apply(o, owner, now, granted)) return no(std::move(*why));
    a = books();
    a.credit = granted, a.transaction = transaction_of(owner + '/' + o.once);
    ordered_.bind(owner, o.once, sqlite::blob{digest}, granted, a.transaction).row();
    return a;
}

std::optional<refusal> ledger_escrow::apply(const escrow_order& o, const std::string& by, instant now, std::string& granted) {
    const auto now_s = seconds_of(now);
    const auto too_much = refusal{"too_much", "more than is there"}, nothing = refusal{"no_amount", "an amount is above zero"};
    const bool sum = o.what != "release" && o.what != "reclaim";
    if (o.amount < 0 || o.price < 0 || (sum && o.what != "approve" && o.amount == 0)) return nothing;
    if (o.what == "deposit") {
        const amount has = balance_.bind(by).row() ? balance_.number(0) : 0;
        balance_.reset();
        if (o.amount > has) return too_much;
        debit_.bind(by, o.amount).row();
        add(by, o.amount);
    } else if (o.what == "withdraw") {
        if (o.amount > free_of(by)) return too_much;
        take(by, o.amount);
        pay_.bind(by, o.amount).row();
    } else if (o.what == "approve") {
        const auto provider = somebody(o.provider);
        if (!provider) return provider.error();
        if (*provider == by) return refusal{"bad_party", "nobody is his own provider"};
        auto a = find(by, *provider);
        if (a.budget != 0 && o.price < a.price) return refusal{"price_lowered", "who serves at a price must find it good when he presents it"};
        if (o.amount > free_of(by)) return too_much;
        if (o.amount == 0 && a.budget == 0) return nothing; // who has nothing here leaves nothing behind
        take(by, o.amount);
        a.budget += o.amount, a.price = o.price;
        keep(by, *provider, a);
    } else if (o.what == "announce") {
        const auto provider = lower(o.provider);
        auto a = find(by, provider);
        if (a.since_s != 0) return refusal{"notice_pending", "another one is under way"};
        if (o.amount > a.budget) return refusal{"beyond_budget", "the budget is smaller"};
        a.leaving = o.amount, a.since_s = now_s;
        keep(by, provider, a);
    } else if (o.what == "release") {
        const auto provider = lower(o.provider);
        auto a = find(by, provider);
        if (a.since_s == 0) return refusal{"no_notice", "none was announced, or it is over"};
        if (now_s < a.since_s + es::notice) return refusal{"too_early", "the notice has not passed"};
        const auto much = std::min(a.leaving, a.budget);
        a.budget -= much, a.leaving = 0, a.since_s = 0;
        keep(by, provider, a);
        add(by, much);
    } else if (o.what == "give_back") {
        const auto payer = lower(o.payer);
        auto a = find(payer, by);
        if (o.amount > a.budget) return refusal{"beyond_budget", "the budget is smaller"};
        a.budget -= o.amount;
        keep(payer, by, a);
        add(payer, o.amount);
    } else if (o.what == "grant") {
        const auto payer = somebody(o.payer), provider = somebody(o.provider);
        if (!payer || !provider) return !payer ? payer.error() : provider.error();
        if (*payer == *provider) return refusal{"bad_party", "nobody is his own provider"};
        if (o.expires <= now_s) return refusal{"expired", "its day is over already"};
        if (o.amount > free_of(by)) return too_much;
        take(by, o.amount);
        if (!grant_.bind(by, *payer, *provider, o.amount, o.expires).row()) return refusal{"disk_error", "the ledger gave it no number"};
        granted = std::to_string(grant_.number(0));
        grant_.reset();
    } else if (o.what == "reclaim") {
        const auto c = find_credit(o.credit);
        if (!c) return refusal{"wrong_credit", "there is no such credit"};
        if (c->left == 0) return refusal{"no_amount", "nothing is left of it"};
        if (now_s <= c->expires_s) return refusal{"too_early", "its day is not over"};
        credit_.bind(saturated(o.credit), amount{0}).row();
        add(c->grantor, c->left);
    } else {
        return refusal{"unknown_order", "an escrow knows no such order"};
    }
    return std::nullopt;
}

amount ledger_escrow::free_of(const std::string& owner) {
    const auto who = lower(owner);
    const amount n = own_.bind(who).row() ? own_.number(0) : 0;
    own_.reset();
    return n;
}

// -- within -----------------------------------------------------------------------------------------------------------------------

ledger_escrow::allowance ledger_escrow::find(const std::string& payer, const std::string& provider) {
    allowance a;
    if (find_.bind(payer, provider).row()) a.budget = find_.number(0), a.price = find_.number(1), a.leaving = find_.number(2), a.since_s = find_.number(3);
    find_.reset();
    return a;
}
void ledger_escrow::keep(const std::string& payer, const std::string& provider, const allowance& a) { keep_.bind(payer, provider, a.budget, a.price, a.leaving, a.since_s).row(); }
std::optional<ledger_escrow::credit> ledger_escrow::find_credit(const std::string& number) {
    std::optional<credit> found;
    if (!evm::uint256(number)) return found;
    if (find_credit_.bind(saturated(number)).row()) found = credit{find_credit_.text(0), find_credit_.text(1), find_credit_.text(2), find_credit_.number(3), find_credit_.number(4)};
    find_credit_.reset();
    return found;
}
void ledger_escrow::add(const std::string& owner, amount much) { add_.bind(owner, much).row(); } // no overflow: every sum is part of a supply that fits
void ledger_escrow::take(const std::string& owner, amount much) {
    if (much > 0) take_.bind(owner, much).row();
}

} // namespace souk
