#include <souk/runtime/simulate/witness.hpp>

#include <algorithm>

#include <souk/messages/jwt.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

namespace {

constexpr auto a_month = 30 * 24h;
constexpr milliseconds twice = 15s; // what is not so is looked at again: a write may take several seconds

}

witness::witness(universe& u, relay& r, milliseconds slack) : u_(u), relay_(r), slack_(slack) {
    relay_.changed = [this](const relay::tunnel& t, bool stands) { changed(t, stands); };
    relay_.given = [this](const std::string& token) { granted(token); };
    relay_.acknowledged = [this](const std::string& token) { acknowledged(token); };
    relay_.started = [this] { look_at_grants(); };
}

void witness::broke(std::string what) {
    u_.tell("", "BROKEN: " + what);
    if (broken_.size() < 20) broken_.push_back(std::move(what));
}

std::optional<witness::right> witness::right_in(const std::string& token) {
    const auto parts = jwt::split(token);
    if (!parts) return std::nullopt;
    const auto scope = parts->claims.text("scope");
    const auto* exp = parts->claims.find("exp");
    const auto from = scope.find(':') + 1, to = scope.find('?');
    if (!exp || !exp->as<std::int64_t>() || from >= to) return std::nullopt;
    return right{std::string(parts->claims.text("iss")), std::string(scope.substr(from, to - from)), instant{std::chrono::seconds{*exp->as<std::int64_t>()}}};
}

void witness::granted(const std::string& token) {
    if (auto is = right_in(token)) given_.push_back(std::move(*is));
}

void witness::acknowledged(const std::string& token) {
    const auto is = right_in(token);
    if (!is) return broke("a relay took a grant that is none");
    auto& until = acknowledged_[{is->account, is->collection}];
    until = std::max(until, is->until);
}

void witness::written(const stored_record& r) {
    const bool may = std::any_of(given_.begin(), given_.end(), [&](const right& g) { return g.account == r.uri.did && g.collection == r.uri.collection && u_.now() < g.until + slack_; });
    if (!may) broke("a machine wrote " + r.uri.text() + ", and nobody let it");
}

void witness::changed(const relay::tunnel& t, bool stands) {
    const auto last = std::exchange(last_change_[t.label], u_.now());
    if (u_.now() - last >= a_month) owners_.erase(t.label); // nobody served it for so long: it is anybody's
    u_.later(reaction + 1s, [this] { look_at_names(); });
    if (!stands) return;
    ++served_;
    const auto owner = owners_.emplace(t.label, t.who.tenant).first->second;
    if (owner != t.who.tenant) broke(t.label + " was a name of " + owner + ", and is served by " + t.who.machine);
    if (const auto is = relay_.route_of(t.label); is.did != t.who.tenant) broke(t.label + " belongs to " + is.did + ", and is served by " + t.who.machine);
    if (taken_away_.contains(t.label)) broke(t.label + " was taken away, and is served by " + t.who.machine);
}

void witness::look() {
    look_at_names();
    look_at_grants();
}

void witness::look_at_names() {
    relay_.names([this](const std::vector<route_view>& all) {
        const auto quiet_since = u_.now() - reaction;
        if (!relay_.up() || relay_.since() > quiet_since) return;
        for (const auto& v : all) {
            const auto changed = last_change_.find(v.label);
            if (changed != last_change_.end() && changed->second > quiet_since) {
                doubts_.erase(v.label);
                continue;
            }
            const bool serves = relay_.serves(v.label);
            if (v.up == serves) {
                doubts_.erase(v.label);
            } else if (const auto since = doubts_.emplace(v.label, u_.now()).first->second; since == u_.now()) { // a claim may be on its way this very moment
                u_.later(twice, [this] { look_at_names(); });
            } else if (u_.now() - since >= twice) {
                broke(v.label + (v.up ? " is said to be up, and nobody serves it" : " is served, and is said to be down"));
            }
        }
    });
}

void witness::look_at_grants() {
    const auto kept = relay_.grants();
    for (const auto& [of, until] : acknowledged_) {
        const auto found = kept.find(of);
        if (until > u_.now() + slack_ && (found == kept.end() || found->second.until < until)) broke("a grant of " + of.first + " was acknowledged, and is not there");
    }
}

} // namespace souk::simulate
