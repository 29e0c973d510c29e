#include <souk/backends/records/dns.hpp>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

namespace souk {

namespace {

constexpr std::size_t threads = 2, most_waiting = 64, largest_answer = 16 * 1024, most_texts = 32, longest_text = 2048;
constexpr int wait_seconds = 2, tries = 2; // a server; the second waits twice as long

refusal unreachable(std::string why) { return {"dns_unreachable", std::move(why)}; }

// The resolver's state is a thread's own: Debian's C library has it so.
class asker {
public:
    explicit asker(const std::optional<sockaddr_in>& server) {
        std::memset(&state_, 0, sizeof state_);
        up_ = ::res_ninit(&state_) == 0;
        if (!up_) return;
        state_.retrans = wait_seconds, state_.retry = tries;
        state_.options |= RES_NOALIASES; // no HOSTALIASES out of the environment
        if (server) state_.nsaddr_list[0] = *server, state_.nscount = 1;
    }
    asker(const asker&) = delete;
    ~asker() {
        if (up_) ::res_nclose(&state_);
    }
    result<std::vector<std::string>> ask(const std::string& name) {
        if (!up_) return unreachable("the system's resolver does not start");
        std::vector<unsigned char> bytes(largest_answer);
        const int n = ::res_nquery(&state_, name.c_str(), ns_c_in, ns_t_txt, bytes.data(), static_cast<int>(bytes.size()));
        if (n < 0 && (state_.res_h_errno == HOST_NOT_FOUND || state_.res_h_errno == NO_DATA)) return std::vector<std::string>();
        if (n < 0) return unreachable(name + ": " + ::hstrerror(state_.res_h_errno));
        if (static_cast<std::size_t>(n) > bytes.size()) return unreachable(name + ": an answer of more than 16 KiB");
        return read(name, bytes, n);
    }

private:
    static result<std::vector<std::string>> read(const std::string& name, const std::vector<unsigned char>& bytes, int size) {
        ns_msg message;
        if (::ns_initparse(bytes.data(), size, &message) != 0) return unreachable(name + ": the answer is malformed");
        std::vector<std::string> texts;
        for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
            ns_rr record;
            if (::ns_parserr(&message, ns_s_an, i, &record) != 0) return unreachable(name + ": the answer is malformed");
            if (ns_rr_type(record) != ns_t_txt) continue; // an alias on the way
            std::string text; // of pieces, each with its length before it
            const auto* at = ns_rr_rdata(record);
            for (const auto* end = at + ns_rr_rdlen(record); at < end; at += 1 + *at) {
                if (at + 1 + *at > end) return unreachable(name + ": the answer is malformed");
                text.append(reinterpret_cast<const char*>(at + 1), *at);
            }
            if (text.size() > longest_text) continue;
            texts.push_back(std::move(text));
            if (texts.size() > most_texts) return unreachable(name + ": more than 32 texts");
        }
        return texts;
    }

    struct __res_state state_;
    bool up_ = false;
};

class system_lookup final : public txt_lookup {
public:
    explicit system_lookup(std::optional<sockaddr_in> server) {
        for (std::size_t i = 0; i < threads; ++i) workers_.emplace_back([this, server] { work(server); });
    }
    ~system_lookup() override {
        std::deque<question> rest;
        {
            const std::lock_guard hold(guard_);
            stopped_ = true;
            rest.swap(waiting_);
        }
        asked_.notify_all();
        for (auto& [name, tell] : rest) tell(unreachable(name + ": this node stops"));
        for (auto& w : workers_) w.join();
    }
    void txt(const std::string& name, teller tell) override {
        {
            const std::lock_guard hold(guard_);
            if (!stopped_ && waiting_.size() < most_waiting) {
                waiting_.emplace_back(name, std::move(tell));
                asked_.notify_one();
                return;
            }
        }
        tell(unreachable(name + ": too many names are being asked for"));
    }

private:
    using question = std::pair<std::string, teller>;

    void work(const std::optional<sockaddr_in>& server) {
        for (;;) {
            std::unique_lock hold(guard_);
            asked_.wait(hold, [this] { return stopped_ || !waiting_.empty(); });
            if (stopped_) return;
            auto [name, tell] = std::move(waiting_.front());
            waiting_.pop_front();
            hold.unlock();
            asker one(server); // anew each time: the system's servers may have changed
            tell(one.ask(name));
        }
    }

    std::mutex guard_;
    std::condition_variable asked_;
    std::deque<question> waiting_;
    bool stopped_ = false;
    std::vector<std::thread> workers_;
};

} // namespace

std::unique_ptr<txt_lookup> make_txt_lookup(const std::string& server) {
    if (server.empty()) return std::make_unique<system_lookup>(std::nullopt);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    const auto colon = server.rfind(':');
    const auto digits = colon == std::string::npos ? std::string() : server.substr(colon + 1);
    const auto port = digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos ? 0UL : std::stoul(digits);
    if (port == 0 || port > 65535 || ::inet_pton(AF_INET, server.substr(0, colon).c_str(), &at.sin_addr) != 1)
        throw std::runtime_error("not the ADDRESS:PORT of a name server: " + server);
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    return std::make_unique<system_lookup>(at);
}

} // namespace souk
