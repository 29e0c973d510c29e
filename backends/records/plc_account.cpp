#include <souk/backends/records/plc_account.hpp>

#include <algorithm>
#include <mutex>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t largest_log = 2 << 20, largest_answer = 64 * 1024, longest_reason = 200;
constexpr std::chrono::milliseconds silent_first = 5s, silent_most = 10min, refused_first = 1min, refused_most = 60min, every = 60min;
constexpr std::chrono::seconds fetch_within{15};

json_limits of_a_log() {
    json_limits l;
    l.bytes = 2 * largest_log;
    return l;
}

} // namespace

class plc_account::impl : public std::enable_shared_from_this<plc_account::impl> {
public:
    impl(options o, const crypto::secret& rotation) : options_(std::move(o)) {
        while (options_.directory.ends_with('/')) options_.directory.pop_back();
        own_ = std::filesystem::exists(options_.file) ? read() : begin(rotation);
        if (own_.given_up) {
            state_.how = standing::given_up, state_.as_wanted = false, state_.why_not = "this DID was given up";
            return;
        }
        auto next = plc::update(own_.last(), options_.says, rotation);
        if (!next) state_.as_wanted = false, state_.why_not = next.error().text;
        else if (*next) append(**next);
    }

    const plc::history& own() const { return own_; }
    state look() const {
        const std::lock_guard hold(guard_);
        return state_;
    }
    void tick(const http::fetcher& fetch) {
        {
            const std::lock_guard hold(guard_);
            const auto since = options_.now() - asked_;
            if (under_way_ || options_.directory.empty() || (asked_ != instant() && since >= since.zero() && since < wait_)) return;
            under_way_ = true, asked_ = options_.now();
        }
        http::call c;
        c.url = options_.directory + '/' + own_.did + "/log/audit", c.within = fetch_within, c.largest_answer = largest_log;
        fetch(std::move(c), [weak = weak_from_this(), fetch](result<http::response> r) {
            if (const auto self = weak.lock()) self->heard(std::move(r), fetch);
        });
    }

private:
    [[noreturn]] void damaged(const std::string& why) const { throw std::runtime_error(options_.file.string() + ": " + why); }

    plc::history read() const {
        const auto log = from_json(tls::read_file(options_.file, 2 * largest_log), json_form::plain, of_a_log());
        const auto* all = log ? log->as<value::list>() : nullptr;
        if (!all || all->empty()) damaged("it is damaged");
        const auto* first = all->front().find("operation");
        auto own = plc::read_history(plc::did_of(first ? *first : all->front()), *log);
        if (!own) damaged(own.error().text);
        for (auto& e : own->all)
            if (!e.at) e.at = options_.now(); // a bare log, as it was kept once
        return std::move(*own);
    }
    // The first operation names the DID, so it is made once and kept.
    plc::history begin(const crypto::secret& rotation) const {
        const auto first = plc::genesis(options_.says, rotation);
        auto own = plc::read_history(plc::did_of(first), value::list{first});
        if (!own) damaged(own.error().text);
        own->all.front().at = options_.now();
        write(*own);
        return std::move(*own);
    }
    void append(const value& operation) {
        auto more = own_;
        auto at = options_.now();
        if (more.all.back().at && *more.all.back().at > at) at = *more.all.back().at;
        more.all.push_back({cid{}, at, false, 0, operation});
        auto log = more.audit();
        (*log.as<value::list>()->back().as<value::map>())["cid"] = cid_of(operation).text();
        auto next = plc::read_history(own_.did, log);
        if (!next) damaged("an operation of our own is not valid: " + next.error().text);
        write(*next);
        own_ = std::move(*next);
    }
    void write(const plc::history& h) const { tls::write_secret(options_.file, to_json(h.audit())); }

    // -- the directory, on the client's thread --------------------------------------------------------------------------------------------------

    void heard(result<http::response> r, const http::fetcher& fetch) {
        if (!r) return silent(r.error().text);
        if (r->status == 404) return compare(std::nullopt, fetch);
        if (r->status != 200) return silent("it answered " + std::to_string(r->status));
        const auto log = from_json(r->body, json_form::plain, of_a_log());
        if (!log) return silent(log.error().text);
        auto theirs = plc::read_history(own_.did, *log);
        if (!theirs) return silent("its log does not verify: " + theirs.error().text);
        compare(std::move(*theirs), fetch);
    }
    void compare(std::optional<plc::history> theirs, const http::fetcher& fetch) {
        const auto ours = kept().operations();
        const auto has = theirs ? theirs->operations() : value::list();
        {
            const std::lock_guard hold(guard_);
            state_.asked = options_.now(), state_.directory_head = theirs ? theirs->head_cid().text() : "";
        }
        if (has.size() <= ours.size() && std::equal(has.begin(), has.end(), ours.begin())) {
            if (has.size() == ours.size()) {
                const bool replaced = replaced_ != std::nullopt;
                return settle(theirs->given_up ? standing::given_up : replaced ? standing::replaced : standing::agrees, "", every);
            }
            if (!options_.publish) return settle(has.empty() ? standing::absent : standing::waiting, "[identity] publish = true tells it", every);
            return tell_it(ours[has.size()], fetch);
        }
        // Others, by keys of this identity: an update made elsewhere, or a recovery. They have been verified, and the directory has the order of things.
        try {
            write(*theirs);
        } catch (const std::exception& e) {
            return silent(e.what());
        }
        const bool gone = theirs->given_up;
        {
            const std::lock_guard hold(guard_);
            replaced_ = std::move(*theirs);
        }
        settle(gone ? standing::given_up : standing::replaced, "it has operations that were not made here; they count from the next start", every);
    }
    void tell_it(const value& operation, const http::fetcher& fetch) {
        http::call c;
        c.method = "POST", c.url = options_.directory + '/' + own_.did, c.body = to_json(operation), c.within = fetch_within, c.largest_answer = largest_answer;
        c.head.set("Content-Type", "application/json");
        const auto id = cid_of(operation);
        const bool again = std::exchange(told_, id) == id;
        fetch(std::move(c), [weak = weak_from_this(), again](result<http::response> r) {
            const auto self = weak.lock();
            if (!self) return;
            if (!r) return self->silent(r.error().text);
            if (r->status / 100 == 2 && again) return self->silent("it took an operation, and does not show it");
            if (r->status / 100 == 2) return self->settle(standing::waiting, "told; asked next", 0ms);
            const auto why = "it answered " + std::to_string(r->status) + ' ' + to_utf8(r->body.substr(0, longest_reason));
            if (r->status >= 500) self->silent(why);
            else self->refuse(why);
        });
    }
    plc::history kept() const {
        const std::lock_guard hold(guard_);
        return replaced_ ? *replaced_ : own_;
    }

    void settle(standing how, std::string why, std::chrono::milliseconds wait) {
        const std::lock_guard hold(guard_);
        state_.how = how, state_.why = std::move(why), wait_ = wait, under_way_ = false, again_ = 0ms;
    }
    void silent(const std::string& why) {
        const std::lock_guard hold(guard_);
        // What it said before stands beside why nothing is heard now.
        if (state_.how == standing::waiting || state_.how == standing::refused) state_.how = standing::unknown;
        state_.why = why, wait_ = again_ = std::clamp(2 * again_, silent_first, silent_most), under_way_ = false;
    }
    void refuse(const std::string& why) {
        const std::lock_guard hold(guard_);
        state_.how = standing::refused, state_.why = why, wait_ = again_ = std::clamp(2 * again_, refused_first, refused_most), under_way_ = false;
    }

    options options_;
    plc::history own_;
    mutable std::mutex guard_; // over what follows
    std::optional<plc::history> replaced_;
    state state_;
    cid told_; // the last; only by who is under way
    instant asked_{};
    std::chrono::milliseconds wait_{0}, again_{0};
    bool under_way_ = false;
};

plc_account::plc_account(options o, const crypto::secret& rotation) : impl_(std::make_shared<impl>(std::move(o), rotation)) {}
plc_account::~plc_account() = default;
const plc::history& plc_account::own() const { return impl_->own(); }
plc_account::state plc_account::look() const { return impl_->look(); }
void plc_account::tick(const http::fetcher& fetch) { impl_->tick(fetch); }

std::string_view to_text(plc_account::standing s) {
    switch (s) {
    case plc_account::standing::unknown: return "unknown";
    case plc_account::standing::absent: return "absent";
    case plc_account::standing::waiting: return "waiting";
    case plc_account::standing::agrees: return "agrees";
    case plc_account::standing::replaced: return "replaced";
    case plc_account::standing::refused: return "refused";
    case plc_account::standing::given_up: return "given up";
    }
    return "";
}

} // namespace souk
