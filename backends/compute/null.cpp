// Bookkeeping only: no process, no file. What remains is what the market itself costs.
#include <array>
#include <mutex>
#include <unordered_map>

#include <souk/backends/compute/sandbox.hpp>
#include <souk/messages/bytes.hpp>

namespace souk::compute {

namespace {

// A key line that parses; nobody holds its other half.
std::string key_for(const std::string& tag) {
    std::string point(32, '\0');
    auto mixed = std::hash<std::string>{}(tag);
    for (auto& c : point) c = static_cast<char>(mixed & 0xff), mixed = mixed * 6364136223846793005u + 1442695040888963407u, mixed ^= mixed >> 29;
    using namespace std::string_literals;
    return "ssh-ed25519 " + to_base64("\0\0\0\x0bssh-ed25519\0\0\0\x20"s + point);
}

class null_backend : public backend {
public:
    explicit null_backend(std::function<instant()> now) : now_(std::move(now)) {}

    ability can() const override { return {"null", "none", tier::none, "no machine runs: bookkeeping only"}; }

    void launch(order o, std::function<void(launched)> answer) override {
        if (const auto good = check_tag(o.tag); !good) return answer({std::nullopt, problem::never, good.error()});
        auto& part = of(o.tag);
        std::unique_lock lock{part.mutex};
        auto at = part.machines.find(o.tag);
        if (at == part.machines.end()) {
            if (now_() > o.not_after) {
                lock.unlock();
                return answer({std::nullopt, problem::never, {"too_late", "the order came after its not_after"}});
            }
            at = part.machines.emplace(o.tag, running{"null.invalid", 22, key_for(o.tag), "root", tier::none}).first;
        }
        launched done{at->second, problem::unknown, {}};
        lock.unlock();
        answer(std::move(done));
    }

    void look(const std::string& tag, std::function<void(report)> answer) override {
        auto& part = of(tag);
        std::unique_lock lock{part.mutex};
        const auto at = part.machines.find(tag);
        report r;
        r.as_of = now_();
        r.is = at == part.machines.end() ? presence::absent : presence::running;
        if (at != part.machines.end()) r.machine = at->second;
        lock.unlock();
        answer(std::move(r));
    }

    void terminate(const std::string& tag, std::function<void(report)> answer) override {
        auto& part = of(tag);
        std::unique_lock lock{part.mutex};
        part.machines.erase(tag);
        report r{presence::absent, std::nullopt, now_(), ""};
        lock.unlock();
        answer(std::move(r));
    }

    void list(std::function<void(result<std::vector<std::string>>)> answer) override {
        std::vector<std::string> tags;
        for (auto& part : shards_) {
            std::lock_guard lock{part.mutex};
            for (const auto& [tag, machine] : part.machines) tags.push_back(tag);
        }
        answer(std::move(tags));
    }

    std::string console(const std::string&, std::size_t) const override { return {}; }

private:
    struct shard {
        std::mutex mutex;
        std::unordered_map<std::string, running> machines;
    };
    shard& of(const std::string& tag) { return shards_[std::hash<std::string>{}(tag) % shards_.size()]; }

    std::function<instant()> now_;
    std::array<shard, 16> shards_;
};

} // namespace

std::unique_ptr<backend> make_null(std::function<instant()> now) { return std::make_unique<null_backend>(std::move(now)); }

} // namespace souk::compute
