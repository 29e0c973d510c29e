#include <souk/runtime/simulate/cloud.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

void cloud::start(const compute::order& o) {
    const auto& tag = o.tag;
    if (machines_.count(tag)) return;
    auto& made = machines_[tag];
    made.where = {host_ + ".example", 22, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4q4Z3b8Xy3m6m2cK4m6mS3Jq2bX9qj8n5yq0o3X9aB", "root", compute::tier::none};
    history_[tag].push_back({u_.now(), std::nullopt});
    u_.tell(host_, tag + " runs");
    if (booted) booted(o, made.alive);
    if (u_.strikes(hazard::machine_loss, 30)) u_.later(u_.chance().between(1'000ms, 300'000ms), [this, tag] { end(tag, true); });
}

void cloud::end(const std::string& tag, bool by_itself) {
    const auto was = machines_.extract(tag);
    if (was.empty()) return;
    *was.mapped().alive = false;
    history_[tag].back().until = u_.now();
    if (by_itself) history_[tag].back().by_itself = true;
    u_.tell(host_, tag + " is gone");
    if (gone) gone(tag);
}

class cloud::view final : public compute::backend {
public:
    view(cloud& c, life by) : c_(c), u_(c.u_), by_(std::move(by)) {}

    compute::ability can() const override { return {"simulated", "none", compute::tier::none, ""}; }

    void launch(compute::order o, std::function<void(compute::launched)> tell) override {
        if (!*by_) return;
        if (u_.strikes(hazard::drop, 10)) return; // it never arrives
        const auto number = ++c_.launches_;
        c_.coming_[o.tag] = number;
        auto takes = u_.chance().between(500ms, 20'000ms);
        if (u_.strikes(hazard::delay, 20)) takes = u_.chance().between(60'000ms, 400'000ms);
        u_.later(takes, [this, &c = c_, o = std::move(o), tell, number] {
            const auto answer = [this](milliseconds after, auto what) { u_.later(by_, after, what); };
            const auto mine = c.coming_.find(o.tag);
            const bool called_off = mine == c.coming_.end() || mine->second != number;
            if (!called_off) c.coming_.erase(mine);
            if (c.refuses) return answer(10ms, [tell] { tell({std::nullopt, compute::problem::never, {"no_image", "this host has no image"}}); });
            if (!c.machines_.count(o.tag)) {
                if (called_off) return answer(10ms, [tell] { tell({std::nullopt, compute::problem::never, {"ended", "it was ended before it started"}}); });
                if (u_.now() > o.not_after) return answer(10ms, [tell] { tell({std::nullopt, compute::problem::never, {"too_late", "the order came after its not_after"}}); });
                c.start(o);
            }
            if (u_.strikes(hazard::backend_error, 30)) return answer(10ms, [tell] { tell({std::nullopt, compute::problem::never, {"internal_error", "something went wrong"}}); });
            if (u_.strikes(hazard::backend_error, 30)) return answer(10ms, [tell] { tell({std::nullopt, compute::problem::unknown, {"timeout", "no answer in time"}}); });
            const auto there = c.machines_.find(o.tag);
            if (there == c.machines_.end()) return answer(10ms, [tell] { tell({std::nullopt, compute::problem::never, {"lost", "it ended"}}); });
            answer(10ms, [tell, where = there->second.where] { tell({where, compute::problem::unknown, {}}); });
        });
    }
    void look(const std::string& tag, std::function<void(compute::report)> tell) override {
        if (!*by_ || u_.strikes(hazard::drop, 10)) return;
        u_.later(by_, u_.chance().between(5ms, 60ms), [this, tag, tell] { tell(seen(tag)); });
    }
    void terminate(const std::string& tag, std::function<void(compute::report)> tell) override {
        if (!*by_ || u_.strikes(hazard::drop, 10)) return;
        u_.later(u_.chance().between(50ms, 3'000ms), [this, &c = c_, tag, tell] {
            const auto r = seen(tag); // one that it does not see it does not end
            if (r.is == compute::presence::running) c.end(tag);
            c.coming_.erase(tag);
            if (u_.strikes(hazard::backend_error, 30)) return u_.later(by_, 10ms, [tell, at = u_.now()] { tell({compute::presence::unknown, std::nullopt, at, "no answer in time"}); });
            u_.later(by_, 10ms, [tell, at = u_.now()] { tell({compute::presence::absent, std::nullopt, at, ""}); });
        });
    }
    void list(std::function<void(result<std::vector<std::string>>)> tell) override {
        if (!*by_ || u_.strikes(hazard::drop, 10)) return;
        u_.later(by_, 20ms, [this, tell] {
            std::vector<std::string> tags;
            for (const auto& [tag, m] : c_.machines_)
                if (m.hidden_until <= u_.now()) tags.push_back(tag);
            tell(std::move(tags));
        });
    }
    std::string console(const std::string&, std::size_t) const override { return {}; }

private:
    compute::report seen(const std::string& tag) {
        const auto found = c_.machines_.find(tag);
        if (found != c_.machines_.end() && u_.strikes(hazard::backend_lie, 5)) {
            found->second.hidden_until = u_.now() + u_.chance().between(1'000ms, 60'000ms);
            c_.history_[tag].back().by_itself = true;
            u_.tell(c_.host_, tag + " is there and is said not to be");
        }
        if (found == c_.machines_.end() || found->second.hidden_until > u_.now()) return {compute::presence::absent, std::nullopt, u_.now(), ""};
        return {compute::presence::running, found->second.where, u_.now(), ""};
    }

    cloud& c_;
    universe& u_;
    life by_;
};

std::unique_ptr<compute::backend> cloud::seen_by(life by) { return std::make_unique<view>(*this, std::move(by)); }

} // namespace souk::simulate
