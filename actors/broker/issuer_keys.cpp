#include <souk/actors/broker/issuer_keys.hpp>

#include <algorithm>

#include <souk/actors/broker/discovery.hpp>

namespace souk {

namespace {

constexpr std::chrono::milliseconds fetch_within{10'000};

}

void issuer_keys::get(const std::string& issuer, then tell) {
    auto* e = room_for(issuer);
    if (!e) return tell(refusal{"not_now", "too many issuers are being asked for their keys"});
    const auto age = out_.now() - e->fetched;
    if (e->jwks && age >= age.zero() && age < out_.cache) return tell(*e->jwks);
    start(issuer, *e, std::move(tell));
}

void issuer_keys::get_newer(const std::string& issuer, then tell) {
    auto* e = room_for(issuer);
    if (!e) return tell(refusal{"not_now", "too many issuers are being asked for their keys"});
    const auto age = out_.now() - e->fetched;
    if (e->jwks && age >= age.zero() && age < again_after) return tell(*e->jwks);
    start(issuer, *e, std::move(tell));
}

// The one whose keys are oldest makes room for a new one; those that are being fetched stay.
issuer_keys::entry* issuer_keys::room_for(const std::string& issuer) {
    if (const auto found = all_.find(issuer); found != all_.end()) return &found->second;
    if (all_.size() >= most_issuers) {
        auto oldest = all_.end();
        for (auto at = all_.begin(); at != all_.end(); ++at)
            if (at->second.waiting.empty() && (oldest == all_.end() || at->second.fetched < oldest->second.fetched)) oldest = at;
        if (oldest == all_.end()) return nullptr;
        all_.erase(oldest);
    }
    return &all_[issuer];
}

void issuer_keys::start(const std::string& issuer, entry& e, then tell) {
    e.waiting.push_back(std::move(tell));
    if (e.waiting.size() > 1) return;
    auto url = oidc::discovery_url(issuer, out_.allow_http);
    if (!url) return finish(issuer, url.error());
    fetch(issuer, std::move(*url), &issuer_keys::discovered);
}

void issuer_keys::fetch(const std::string& issuer, std::string url, void (issuer_keys::*next)(const std::string&, const http::response&)) {
    http::call call;
    call.url = std::move(url), call.within = fetch_within, call.largest_answer = oidc::largest_document;
    out_.fetch(std::move(call), [this, post = out_.post, issuer, next](result<http::response> got) {
        post([this, issuer, next, got = std::move(got)] {
            if (!got) return finish(issuer, refusal{"issuer_unreachable", "the issuer cannot be asked for its keys: " + got.error().text});
            if (got->status != 200)
                return finish(issuer, refusal{"issuer_unreachable", "the issuer answered " + std::to_string(got->status) + " when asked for its keys"});
            (this->*next)(issuer, *got);
        });
    });
}

void issuer_keys::discovered(const std::string& issuer, const http::response& got) {
    auto uri = oidc::jwks_uri_in(got.body, issuer, out_.allow_http);
    if (!uri) return finish(issuer, uri.error());
    fetch(issuer, std::move(*uri), &issuer_keys::fetched);
}

void issuer_keys::fetched(const std::string& issuer, const http::response& got) { finish(issuer, oidc::jwks_in(got.body)); }

void issuer_keys::finish(const std::string& issuer, result<value> got) {
    const auto found = all_.find(issuer);
    if (found == all_.end()) return;
    const auto waiting = std::exchange(found->second.waiting, {});
    if (got) found->second.jwks = *got, found->second.fetched = out_.now();
    else all_.erase(found); // asked again by the next token
    for (const auto& tell : waiting) tell(got);
}

} // namespace souk
