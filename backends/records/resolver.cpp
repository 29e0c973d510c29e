#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

#include <souk/backends/records/handle_cache.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/records/resolver_names.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/json.hpp>

namespace souk {

using namespace internal;

namespace {

constexpr std::chrono::minutes good_for{5};
constexpr std::chrono::hours shown_for{24};  // AT Protocol's own bound for what is remembered of an identity
constexpr std::chrono::seconds miss_for{5}; // and how soon a document may be asked for again because of a signature
constexpr std::size_t most_cached = 10'000, most_cached_bytes = 32 << 20, most_misses = 2'000, most_asked = 1'000, most_waiting = 1'000;
constexpr std::size_t largest_document = 256 * 1024, largest_log = 2 << 20, largest_did_file = 4096;
constexpr unsigned most_redirects = 3;
constexpr std::chrono::seconds fetch_within{10};
constexpr std::size_t longest_name = 253; // of DNS

using teller = std::function<void(result<did_document>)>;
using shower = std::function<void(result<shown_identity>)>;

refusal unresolved(std::string why) { return {"did_unresolved", std::move(why)}; }

// What an answer gave: a document that verifies, and where a log led.
struct found {
    did_document document;
    std::optional<plc::history> log;
};

std::size_t size_of(const did_document& d) {
    std::size_t n = 512 + d.did.size() * 2 + d.seal_key.size() + d.pds.size();
    for (const auto& one : d.handles) n += 32 + one.size();
    for (const auto& one : d.services) n += 96 + one.id.size() + one.type.size() + one.endpoint.size();
    return n + d.signing.size() * 80;
}

} // namespace

// Kept alive by the calls that are under way, so each is answered even when its resolver has gone.
class identity_resolver::impl : public std::enable_shared_from_this<identity_resolver::impl> {
public:
    impl(http::client& c, options o) : client_(c), options_(std::move(o)) {
        if (!options_.now)
            options_.now = [] { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); };
        while (options_.plc_directory.ends_with('/')) options_.plc_directory.pop_back();
    }

    void resolve(const std::string& did, teller tell) {
        look(did, [tell = std::move(tell)](const result<did_document>& now, const std::optional<shown_identity>&) { tell(now); });
    }
    void show(const std::string& did, shower tell) {
        look(did, [tell = std::move(tell), clock = options_.now](const result<did_document>& now, const std::optional<shown_identity>& known) {
            if (!now && !known) return tell(now.error());
            tell(known ? *known : shown_identity{*now, clock(), false});
        });
    }
    void resolve_handle(const std::string& text, teller tell) {
        look_up(text, [tell = std::move(tell)](const result<did_document>& now, const std::optional<handle_cache::known>&) { tell(now); });
    }
    void show_handle(const std::string& text, shower tell) {
        look_up(text, [self = shared_from_this(), text, tell = std::move(tell)](const result<did_document>& now, const std::optional<handle_cache::known>& known) {
            if (now) return tell(shown_identity{*now, known ? known->as_of : self->options_.now(), false});
            if (!known) return tell(now.error());
            self->show(known->did, [text, known, tell, why = now.error()](result<shown_identity> d) {
                if (!d || !names(d->document, text)) return tell(why);
                tell(shown_identity{std::move(d->document), std::min(d->as_of, known->as_of), true});
            });
        });
    }
    void forget(const std::string& did) {
        const std::lock_guard hold(guard_);
        const auto at = known_.find(did);
        // Not at once again: anyone can send a signature by an unknown key.
        if (at != known_.end() && !within(at->second.asked, miss_for)) at->second.again = true;
    }

private:
    using told = std::function<void(const result<did_document>& now, const std::optional<shown_identity>& known)>;

    struct entry { // an identity that has been verified
        did_document document;
        std::string head; // CID of its log's last operation
        instant good, asked; // when it was verified, when it was last asked for
        bool again = false;  // to be looked at again, whatever its age
        std::optional<refusal> miss; // what the last question got
        std::size_t bytes = 0;
        std::list<std::string>::iterator place;
    };
    struct miss {
        refusal why;
        instant when;
    };
    using entries = std::unordered_map<std::string, entry>;

    // A clock that was set back makes nothing fresh.
    bool within(instant since, std::chrono::milliseconds span) const {
        const auto age = options_.now() - since;
        return age >= age.zero() && age < span;
    }

    void look(const std::string& did, told tell) {
        if (!is_did(did)) return tell(refusal{"bad_did", "not a DID"}, {});
        if (did.starts_with("did:key:")) return tell(key_document(did), {});
        if (options_.own && did == options_.own->did) return tell(*options_.own, {});
        std::unique_lock hold(guard_);
        if (const auto at = known_.find(did); at != known_.end()) {
            const auto& e = at->second;
            const bool fresh = !e.again && within(e.good, good_for);
            if (fresh || (e.miss && within(e.asked, miss_for))) {
                const auto now = fresh ? result<did_document>(e.document) : result<did_document>(*e.miss);
                const auto known = shown(e, fresh);
                hold.unlock();
                return tell(now, known);
            }
        } else if (const auto none = misses_.find(did); none != misses_.end() && within(none->second.when, miss_for)) {
            const auto why = none->second.why;
            hold.unlock();
            return tell(why, {});
        }
        const auto at = asked_.find(did);
        const auto waiting = at == asked_.end() ? 0 : at->second.size();
        if ((at == asked_.end() && asked_.size() >= most_asked) || waiting >= most_waiting) {
            hold.unlock();
            return tell(unresolved("too many DIDs are being asked for"), {});
        }
        asked_[did].push_back(std::move(tell));
        hold.unlock();
        if (waiting == 0) ask(did);
    }
    std::optional<shown_identity> shown(const entry& e, bool fresh) const {
        if (!fresh && !within(e.good, shown_for)) return std::nullopt;
        return shown_identity{e.document, e.good, !fresh};
    }

    // -- asking -------------------------------------------------------------------------------------------------------------------------

    void ask(const std::string& did) {
        if (did.starts_with("did:plc:")) return ask_directory(did, "/log/audit");
        if (!did.starts_with("did:web:")) return answer(did, refusal{"bad_did", "not a did:plc, did:web or did:key"});
        const auto url = web_url(did, options_.development);
        if (!url) return answer(did, url.error());
        get(*url, largest_document, most_redirects, [self = shared_from_this(), did](result<http::response> r) {
            if (!r) return self->answer(did, r.error());
            json_limits limits;
            limits.bytes = largest_document;
            const auto json = from_json(r->body, json_form::plain, limits);
            if (!json) return self->answer(did, refusal{"bad_did_document", json.error().text});
            auto document = read_document(*json, did);
            self->answer(did, document ? result<found>(found{std::move(*document), {}}) : result<found>(document.error()));
        });
    }
    // The audit log says what was nullified, and when; where a directory has none, the bare log must be one unbroken line.
    void ask_directory(const std::string& did, const char* which) {
        get(options_.plc_directory + '/' + did + which, largest_log, 0, [self = shared_from_this(), did, which](result<http::response> r) {
            if (r.has_error() && r.error().code == not_there && which == std::string_view("/log/audit")) return self->ask_directory(did, "/log");
            if (!r) return self->answer(did, r.error());
            json_limits limits;
            limits.bytes = largest_log;
            const auto json = from_json(r->body, json_form::plain, limits);
            if (!json) return self->answer(did, refusal{"bad_plc_log", json.error().text});
            auto log = plc::read_history(did, *json);
            self->answer(did, log ? result<found>(found{log->document, std::move(*log)}) : result<found>(log.error()));
        });
    }
    // -- handles ------------------------------------------------------------------------------------------------------------------------

    using named = std::function<void(const result<did_document>& now, const std::optional<handle_cache::known>& known)>;
    // What a handle led to just now. `final`: it is known that it leads nowhere, or not to one.
    using leader = std::function<void(result<did_document>, bool final)>;

    void look_up(const std::string& text, named tell) {
        const auto lower = handle_of(text, true, true);
        const bool local = lower && options_.local.contains(*lower);
        const auto handle = handle_of(text, options_.development, local);
        if (!handle) return tell(handle.error(), {});
        std::unique_lock hold(guard_);
        if (const auto known = handles_.to_act_upon(*handle, options_.now())) {
            hold.unlock();
            return claimed(known->did, *handle, [self = shared_from_this(), handle = *handle, known, tell = std::move(tell)](const result<did_document>& d, bool final) {
                self->led(handle, d, final, known, tell);
            });
        }
        if (const auto nowhere = handles_.miss(*handle, options_.now())) {
            const auto known = handles_.to_show(*handle, options_.now());
            hold.unlock();
            return tell(*nowhere, known);
        }
        const auto at = handles_asked_.find(*handle);
        const auto waiting = at == handles_asked_.end() ? 0 : at->second.size();
        if ((at == handles_asked_.end() && handles_asked_.size() >= most_asked) || waiting >= most_waiting) {
            hold.unlock();
            return tell(unresolved("too many handles are being asked for"), {});
        }
        handles_asked_[*handle].push_back(std::move(tell));
        hold.unlock();
        if (waiting > 0) return;
        ask_for(*handle, local, [self = shared_from_this(), handle = *handle](const result<did_document>& d, bool final) {
            std::vector<named> all;
            {
                const std::lock_guard again(self->guard_);
                if (auto node = self->handles_asked_.extract(handle)) all = std::move(node.mapped());
            }
            self->led(handle, d, final, std::nullopt, [&](const auto& now, const auto& known) {
                for (const auto& one : all) one(now, known);
            });
        });
    }
    void led(const std::string& handle, const result<did_document>& d, bool final, std::optional<handle_cache::known> known, const named& tell) {
        {
            const std::lock_guard hold(guard_);
            const auto now = options_.now();
            if (d && !known) handles_.keep(handle, d->did, now), known = handle_cache::known{d->did, now};
            if (!d) handles_.refuse(handle, d.error(), final, now), known = handles_.to_show(handle, now);
        }
        tell(d, known);
    }
    void ask_for(const std::string& handle, bool local, leader tell) {
        const auto name = "_atproto." + handle;
        // What ends in .test no server of the real DNS knows.
        if (!options_.names || local || handle.ends_with(".test") || name.size() > longest_name) return ask_web(handle, std::move(tell));
        options_.names->txt(name, [self = shared_from_this(), handle, tell = std::move(tell)](const result<std::vector<std::string>>& texts) {
            const auto did = texts ? did_in(*texts, handle) : result<std::string>(std::string());
            if (!did) return tell(did.error(), true);
            // DNS has the say; where it says nothing, or nothing can be heard, the host has. The document has the last word in both.
            did->empty() ? self->ask_web(handle, tell) : self->claimed(*did, handle, tell);
        });
    }
    void ask_web(const std::string& handle, leader tell) {
        get("https://" + handle + "/.well-known/atproto-did", largest_did_file, most_redirects,
            [self = shared_from_this(), handle, tell = std::move(tell)](result<http::response> r) {
                if (!r && r.error().code == not_there) return tell(unresolved(r.error().text), true);
                if (!r) return tell(r.error(), false);
                const std::string did(one_line(r->body));
                if (!is_did(did)) return tell(unresolved(handle + " does not name a DID"), true);
                self->claimed(did, handle, tell);
            });
    }
    static bool names(const did_document& d, std::string_view handle) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        return std::any_of(d.handles.begin(), d.handles.end(), [&](const std::string& other) {
            return std::equal(other.begin(), other.end(), handle.begin(), handle.end(), [&](char a, char b) { return lower(a) == lower(b); });
        });
    }
    void claimed(const std::string& did, const std::string& handle, const leader& tell) {
        resolve(did, [handle, tell](result<did_document> d) {
            if (d && !names(*d, handle)) return tell(refusal{"handle_not_claimed", d->did + " does not claim the handle " + handle}, true);
            const bool final = !d && d.error().code != "did_unresolved";
            tell(std::move(d), final);
        });
    }

    static constexpr const char* not_there = "http_404"; // internal: never told

    void get(const std::string& url, std::size_t largest, unsigned redirects, std::function<void(result<http::response>)> tell) {
        http::call c;
        c.url = url, c.largest_answer = largest, c.within = fetch_within;
        client_.fetch(std::move(c), [self = shared_from_this(), url, largest, redirects, tell = std::move(tell)](result<http::response> r) {
            if (!r) return tell(unresolved(url + ": " + r.error().code + ", " + r.error().text));
            if (r->status == 200) return tell(std::move(*r));
            if (r->status >= 301 && r->status <= 308 && r->status != 304 && redirects > 0)
                if (const auto next = same_host(url, r->head.get("Location")); !next.empty()) return self->get(next, largest, redirects - 1, tell);
            tell(refusal{r->status == 404 ? not_there : "did_unresolved", url + " answered " + std::to_string(r->status)});
        });
    }

    // -- what it led to -----------------------------------------------------------------------------------------------------------------

    void answer(const std::string& did, result<found> what) {
        if (!what && what.error().code == not_there) what = unresolved(what.error().text);
        std::vector<told> waiting;
        result<did_document> now = refusal();
        std::optional<shown_identity> last;
        {
            const std::lock_guard hold(guard_);
            now = keep(did, std::move(what));
            if (const auto at = known_.find(did); at != known_.end()) last = shown(at->second, now.has_value());
            if (auto node = asked_.extract(did)) waiting = std::move(node.mapped());
        }
        for (const auto& tell : waiting) tell(now, last);
    }
    // With the guard held, as the rest.
    result<did_document> keep(const std::string& did, result<found> what) {
        const auto at = known_.find(did);
        if (what && at != known_.end() && what->log) {
            const auto before = cid::parse(at->second.head);
            if (before && !what->log->has(*before)) what = refusal{"bad_plc_log", "the directory's log lacks an operation that it had before"};
        }
        if (what && what->log && what->log->given_up) { // verified, and the end of it
            if (at != known_.end()) drop(at);
            const refusal gone{"did_given_up", did + " was given up"};
            return remember_miss(did, gone), gone;
        }
        if (!what) {
            if (at == known_.end()) return remember_miss(did, what.error()), what.error();
            auto& e = at->second;
            e.asked = options_.now();
            // Who only made us look again, and while nobody answers, has not made what was verified a moment ago older than it is.
            if (what.error().code == "did_unresolved" && within(e.good, good_for)) return e.again = false, e.document;
            e.again = true;
            e.miss = what.error().code == "did_unresolved" ? what.error() : unresolved("what is said of it now does not verify: " + what.error().text);
            return *e.miss;
        }
        if (at != known_.end()) drop(at);
        misses_.erase(did);
        entry e;
        e.document = std::move(what->document), e.head = what->log ? what->log->head_cid().text() : "";
        e.good = e.asked = options_.now(), e.bytes = size_of(e.document) + did.size();
        while (!order_.empty() && (known_.size() >= most_cached || bytes_ + e.bytes > most_cached_bytes)) drop(known_.find(order_.front()));
        order_.push_back(did);
        e.place = std::prev(order_.end());
        bytes_ += e.bytes;
        return known_.emplace(did, std::move(e)).first->second.document;
    }
    void drop(entries::iterator at) {
        order_.erase(at->second.place);
        bytes_ -= at->second.bytes;
        known_.erase(at);
    }
    void remember_miss(const std::string& did, refusal why) {
        if (misses_.size() >= most_misses) misses_.clear(); // of 5 s each: who is asked for next is asked for again
        misses_.insert_or_assign(did, miss{std::move(why), options_.now()});
    }

    http::client& client_;
    options options_;
    std::mutex guard_;
    entries known_;
    std::list<std::string> order_; // of those, the one verified longest ago first
    std::size_t bytes_ = 0;
    std::unordered_map<std::string, miss> misses_;
    std::unordered_map<std::string, std::vector<told>> asked_;
    handle_cache handles_;
    std::unordered_map<std::string, std::vector<named>> handles_asked_;
};

identity_resolver::identity_resolver(http::client& c, options o) : impl_(std::make_shared<impl>(c, std::move(o))) {}
identity_resolver::~identity_resolver() = default;
void identity_resolver::resolve(const std::string& did, teller tell) { impl_->resolve(did, std::move(tell)); }
void identity_resolver::show(const std::string& did, shower tell) { impl_->show(did, std::move(tell)); }
void identity_resolver::resolve_handle(const std::string& handle, teller tell) { impl_->resolve_handle(handle, std::move(tell)); }
void identity_resolver::show_handle(const std::string& handle, shower tell) { impl_->show_handle(handle, std::move(tell)); }
void identity_resolver::forget(const std::string& did) { impl_->forget(did); }

} // namespace souk
