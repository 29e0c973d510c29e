#include <souk/actors/broker/routes.hpp>

#include <mutex>

namespace souk {

result<void> check_claim(const route_claim& c) {
    if (!is_did(c.did)) return refusal{"bad_account", "a name belongs to a DID"};
    const auto label = host_label(c.service, c.handle.empty() ? c.did : c.handle);
    if (!label) return label.error();
    if (*label != c.label) return refusal{"wrong_label", "the name of this service is " + *label + ", not " + c.label.substr(0, 63)};
    return {};
}

// Carries out the entities' one effect and is told of their changes: on the shard's thread, so it is guarded.
class route_board::table final : public performer<route> {
public:
    explicit table(std::function<void(const std::string&)> close_account) : close_account_(std::move(close_account)) {}

    void perform(const route::cut& what, reply_to<route::cut> tell) override {
        if (close_account_) close_account_(what.did);
        tell({what, verdict::done, {}, {}});
    }
    void changed(const std::string& label, const route::state& s) {
        const std::lock_guard lock(guard_);
        if (s.at == route::phase::none || s.at == route::phase::released) all_.erase(label);
        else all_.insert_or_assign(label, s);
    }
    std::vector<route::state> of(const std::string& did) const {
        const std::lock_guard lock(guard_);
        std::vector<route::state> out;
        for (const auto& [_, s] : all_)
            if (did.empty() || s.did == did) out.push_back(s);
        return out;
    }
    bool has(const std::string& label) const {
        const std::lock_guard lock(guard_);
        return all_.contains(label);
    }

private:
    std::function<void(const std::string&)> close_account_;
    mutable std::mutex guard_;
    std::map<std::string, route::state> all_;
};

route_board::route_board(caf::actor_system& sys, journal& log, options o) : options_(std::move(o)), table_(std::make_shared<table>(options_.close_account)) {
    std::vector<std::string> known;
    log.open_streams(route::kind, [&](std::string key, const history&) { known.push_back(std::move(key)); });
    footing<route> on;
    on.log = &log, on.world = table_.get(), on.now = options_.now;
    on.changed = [table = table_](const std::string& key, const route::state& s, const auto&) { table->changed(key, s); }; // and keeps it alive
    entities_ = std::make_unique<entities<route>>(sys, 1, std::move(on));
    for (const auto& key : known) entities_->submit(key, route::restarted{});
}

result<void> route_board::check_room(const route_claim& c) const {
    if (!c.up || table_->has(c.label) || table_->of(c.did).size() < most_per_account) return {};
    return refusal{"too_many_names", "an account has at most " + std::to_string(most_per_account) + " public names"};
}

route_list route_board::list(const std::string& did) const {
    const auto port = options_.https_port == 443 ? std::string() : ':' + std::to_string(options_.https_port);
    route_list out;
    for (const auto& s : table_->of(did)) {
        route_view v;
        v.label = s.label, v.did = s.did, v.handle = s.handle, v.service = s.service;
        v.url = "https://" + s.label + '.' + options_.domain + port + '/';
        v.up = s.at == route::phase::up, v.since = s.since, v.withdrawn = s.why;
        out.all.push_back(std::move(v));
    }
    return out;
}

} // namespace souk
