#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

#include <souk/backends/records/identity.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

constexpr std::chrono::minutes good_for{5};
constexpr std::chrono::seconds miss_for{5}; // and how soon a document may be asked for again because of a signature
constexpr std::size_t most_cached = 10'000, most_asked = 1'000, most_waiting = 1'000;
constexpr std::size_t largest_document = 256 * 1024, largest_log = 2 << 20;
constexpr std::chrono::seconds fetch_within{10};

using teller = std::function<void(result<did_document>)>;

refusal unresolved(std::string why) { return {"did_unresolved", std::move(why)}; }

bool plain(std::string_view text, std::string_view also) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || also.find(c) != also.npos;
    });
}

// did:web:host[%3Aport][:path...] to https://host[:port]/path.../did.json or /.well-known/did.json
result<std::string> web_url(std::string_view did) {
    auto rest = did.substr(std::string_view("did:web:").size());
    auto host = std::string(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(rest.size(), host.size()));
    std::string port;
    for (const std::string_view colon : {"%3A", "%3a"})
        if (const auto at = host.find(colon); at != host.npos) port = ':' + host.substr(at + 3), host.resize(at);
    if (host.empty() || !plain(host, ".-") || port.size() > 6 || !plain(port.substr(port.empty() ? 0 : 1), ""))
        return unresolved("not a host in " + std::string(did));
    std::string path;
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const auto part = rest.substr(0, rest.find(':'));
        rest.remove_prefix(part.size());
        if (part.empty() || part == "." || part == ".." || !plain(part, "._-~"))
            return unresolved("not a path in " + std::string(did));
        path.append("/").append(part);
    }
    return "https://" + host + port + (path.empty() ? "/.well-known" : path) + "/did.json";
}

result<did_document> key_document(const std::string& did) {
    did_document d;
    d.did = did;
    if (auto key = crypto::public_key::from_did_key(did)) d.signing.push_back(std::move(*key));
    else if (crypto::seal_key_of(did)) d.seal_key = did;
    else return refusal{"bad_did_document", "a did:key of a kind that is not known here"};
    return d;
}

std::string_view one_line(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
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
        if (did.starts_with("did:key:")) return tell(key_document(did));
        std::unique_lock hold(guard_);
        if (const auto at = cache_.find(did); at != cache_.end() && fresh(at->second)) {
            auto known = at->second.what;
            hold.unlock();
            return tell(std::move(known));
        }
        const auto at = asked_.find(did);
        const auto waiting = at == asked_.end() ? 0 : at->second.size();
        if ((at == asked_.end() && asked_.size() >= most_asked) || waiting >= most_waiting) {
            hold.unlock();
            return tell(unresolved("too many DIDs are being asked for"));
        }
        asked_[did].push_back(std::move(tell));
        hold.unlock();
        if (waiting == 0) look_up(did);
    }
    void resolve_handle(const std::string& handle, teller tell) {
        if (!is_handle(handle)) return tell(refusal{"bad_handle", "not a handle"});
        get("https://" + handle + "/.well-known/atproto-did", 4096,
            [self = shared_from_this(), handle, tell](result<std::string> body) {
                if (!body) return tell(body.error());
                const std::string did(one_line(*body));
                if (!is_did(did)) return tell(unresolved(handle + " does not name a DID"));
                self->resolve(did, [handle, tell](result<did_document> d) {
                    if (d && std::find(d->handles.begin(), d->handles.end(), handle) == d->handles.end())
                        return tell(refusal{"handle_not_claimed", d->did + " does not claim the handle " + handle});
                    tell(std::move(d));
                });
            });
    }
    void forget(const std::string& did) {
        const std::lock_guard hold(guard_);
        const auto at = cache_.find(did);
        // Not at once again: anyone can send a signature by an unknown key.
        if (at != cache_.end() && options_.now() - at->second.when >= miss_for) drop(at);
    }

private:
    struct entry {
        result<did_document> what;
        instant when;
        std::list<std::string>::iterator place;
    };
    using cache = std::unordered_map<std::string, entry>;

    bool fresh(const entry& e) const { return options_.now() - e.when < (e.what ? std::chrono::seconds(good_for) : miss_for); }
    void drop(cache::iterator at) {
        order_.erase(at->second.place);
        cache_.erase(at);
    }
    void keep(const std::string& did, const result<did_document>& what) {
        if (const auto at = cache_.find(did); at != cache_.end()) drop(at);
        if (cache_.size() >= most_cached) drop(cache_.find(order_.front()));
        order_.push_back(did);
        cache_.emplace(did, entry{what, options_.now(), std::prev(order_.end())});
    }

    void look_up(const std::string& did) {
        const auto self = shared_from_this();
        const bool plc = did.starts_with("did:plc:");
        if (!is_did(did) || (!plc && !did.starts_with("did:web:")))
            return answer(did, refusal{"bad_did", "not a did:plc, did:web or did:key"});
        auto url = plc ? result<std::string>(options_.plc_directory + '/' + did + "/log") : web_url(did);
        if (!url) return answer(did, url.error());
        get(*url, plc ? largest_log : largest_document, [self, did, plc](result<std::string> body) {
            if (!body) return self->answer(did, body.error());
            json_limits limits;
            limits.bytes = largest_log;
            const auto document = from_json(*body, json_form::plain, limits);
            if (!document) return self->answer(did, refusal{plc ? "bad_plc_log" : "bad_did_document", document.error().text});
            self->answer(did, plc ? plc::verify_log(did, *document) : read_document(*document, did));
        });
    }
    void answer(const std::string& did, result<did_document> what) {
        std::vector<teller> waiting;
        {
            const std::lock_guard hold(guard_);
            keep(did, what);
            if (auto node = asked_.extract(did)) waiting = std::move(node.mapped());
        }
        for (const auto& tell : waiting) tell(what);
    }
    void get(const std::string& url, std::size_t largest, std::function<void(result<std::string>)> tell) {
        http::call c;
        c.url = url, c.largest_answer = largest, c.within = fetch_within;
        client_.fetch(std::move(c), [url, tell = std::move(tell)](result<http::response> r) {
            if (!r) return tell(unresolved(url + ": " + r.error().code + ", " + r.error().text));
            if (r->status != 200) return tell(unresolved(url + " answered " + std::to_string(r->status)));
            tell(std::move(r->body));
        });
    }

    http::client& client_;
    options options_;
    std::mutex guard_;
    cache cache_;
    std::list<std::string> order_; // oldest first
    std::unordered_map<std::string, std::vector<teller>> asked_;
};

identity_resolver::identity_resolver(http::client& c, options o) : impl_(std::make_shared<impl>(c, std::move(o))) {}
identity_resolver::~identity_resolver() = default;
void identity_resolver::resolve(const std::string& did, teller tell) { impl_->resolve(did, std::move(tell)); }
void identity_resolver::resolve_handle(const std::string& handle, teller tell) { impl_->resolve_handle(handle, std::move(tell)); }
void identity_resolver::forget(const std::string& did) { impl_->forget(did); }

} // namespace souk
