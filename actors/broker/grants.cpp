#include <souk/actors/broker/grants.hpp>

#include <stdexcept>

#include <souk/actors/common/planted.hpp>
#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

constexpr std::size_t largest_file = 128u << 20; // `most` grants of the longest token, with room

std::string text_of(const grant_book::book& all) {
    value::list grants;
    for (const auto& [_, g] : all) grants.push_back(to_value(g));
    return to_json(value(std::move(grants)));
}

} // namespace

grant_book::book grant_book::read(const kept_file& file) {
    book all;
    const auto text = file.read(largest_file);
    if (!text) return all;
    const json_limits own{.bytes = largest_file, .depth = 8, .items = 10 * most};
    const auto parsed = from_json(*text, json_form::plain, own);
    const auto grants = parsed ? from_value<std::vector<credential::grant>>(*parsed) : parsed.error();
    if (!grants) throw std::runtime_error("the grants in " + file.name() + " cannot be read: " + grants.error().text);
    for (const auto& g : *grants) all.insert_or_assign(key{g.account, g.collection}, g);
    return all;
}

void grant_book::keep(credential::grant g, instant now, told then) {
    if (const auto known = all_.find(key{g.account, g.collection}); known != all_.end() && known->second.until >= g.until) return then({});
    if (waiting_.size() >= most_waiting) return then(refusal{"not_now", "too many grants wait to be written"});
    if (planted(defect::grant_unkept)) then({}), then = [](const result<void>&) {};
    waiting_.push_back({std::move(g), std::move(then)});
    if (!writing_) write(now);
}

// All that waits, at once: a burst of grants is one write more, not one each.
void grant_book::write(instant now) {
    auto next = all_;
    std::erase_if(next, [&](const auto& x) { return x.second.until <= now; });
    std::vector<told> kept, refused;
    for (auto& w : std::exchange(waiting_, {})) {
        const key at{w.what.account, w.what.collection};
        const auto known = next.find(at);
        if (known == next.end() && next.size() >= most) {
            refused.push_back(std::move(w.then));
            continue;
        }
        if (known == next.end() || known->second.until < w.what.until) next.insert_or_assign(at, std::move(w.what));
        kept.push_back(std::move(w.then));
    }
    if (!kept.empty()) {
        writing_ = true;
        auto text = text_of(next);
        file_.replace(std::move(text), [this, post = post_, next = std::move(next), kept = std::move(kept), now](result<void> how) mutable {
            post([this, next = std::move(next), kept = std::move(kept), now, how = std::move(how)]() mutable { written(std::move(next), kept, how, now); });
        });
    }
    for (const auto& then : refused) then(refusal{"too_many_grants", "this relay keeps no more grants than it has"});
}

void grant_book::written(book next, const std::vector<told>& all, const result<void>& how, instant now) {
    writing_ = false;
    if (how) all_ = std::move(next);
    if (!waiting_.empty()) write(now);
    for (const auto& then : all) then(how);
}

const credential::grant* grant_book::find(const std::string& account, const std::string& collection, instant now) const {
    const auto found = all_.find(key{account, collection});
    return found == all_.end() || found->second.until <= now ? nullptr : &found->second;
}

} // namespace souk
