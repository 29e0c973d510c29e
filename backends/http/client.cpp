#include <souk/backends/http/client.hpp>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <souk/backends/http/address_guard.hpp>
#include <souk/backends/http/url.hpp>

namespace souk::http {

namespace {

constexpr std::size_t largest_answer_head = 64 * 1024, most_waiting = 16 * 1024;
constexpr std::chrono::milliseconds connect_within{10'000};
constexpr long most_connections = 512, most_per_host = 64;
constexpr long slow_bytes = 1024, slow_seconds = 30; // of a body that is taken as it comes: its whole time is long
constexpr long http_ok = 200;

template <auto Free>
struct freed {
    template <class T>
    void operator()(T* p) const {
        Free(p);
    }
};
using easy_handle = std::unique_ptr<CURL, freed<curl_easy_cleanup>>;
using multi_handle = std::unique_ptr<CURLM, freed<curl_multi_cleanup>>;
using line_list = std::unique_ptr<curl_slist, freed<curl_slist_free_all>>;

using teller = std::function<void(result<response>)>;

void start_curl() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) throw std::runtime_error("libcurl does not start");
}

void add_line(line_list& to, const std::string& line) {
    curl_slist* grown = curl_slist_append(to.get(), line.c_str());
    if (!grown) throw std::bad_alloc();
    (void)to.release();
    to.reset(grown);
}

bool token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}
bool one_line(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}
std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    return text;
}

// One call under way. libcurl holds its address, so it does not move.
struct transfer {
    transfer(call c, teller t) : what(std::move(c)), tell(std::move(t)) {}

    call what;
    teller tell;
    easy_handle easy{curl_easy_init()};
    line_list lines, route;
    response answer;
    std::size_t head_bytes = 0, body_bytes = 0;
    refusal refused; // by who takes the body
    bool any_address = false; // the operator chose it, or allows all
    bool met_private = false; // an address was refused
    bool sent = false;        // the request may have left
    bool too_large = false;
    char error[CURL_ERROR_SIZE] = {};

    bool repeatable() const { return what.method == "GET" || what.method == "HEAD"; }

    result<void> prepare(const client_options&);
    result<response> finish(CURLcode);

private:
    result<void> set_head();
    template <class T>
    void set(CURLoption which, T to) {
        if (curl_easy_setopt(easy.get(), which, to) != CURLE_OK) throw std::runtime_error("libcurl lacks an option that is needed");
    }

    static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* to);
    static int before_request(void* self, char*, char*, int, int);
    static std::size_t take_head(char* data, std::size_t, std::size_t size, void* self);
    static std::size_t take_body(char* data, std::size_t, std::size_t size, void* self);
};

curl_socket_t transfer::open_socket(void* self, curlsocktype, curl_sockaddr* to) {
    auto& t = *static_cast<transfer*>(self);
    if (!t.any_address && internal::is_private(to->addr)) {
        t.met_private = true;
        return CURL_SOCKET_BAD;
    }
    return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

// The connection stands, the request goes out next. libcurl repeats a request by itself when a kept connection turns out to be
// dead; what may have had an effect is not repeated.
int transfer::before_request(void* self, char*, char*, int, int) {
    auto& t = *static_cast<transfer*>(self);
    if (t.sent && !t.repeatable()) return CURL_PREREQFUNC_ABORT;
    t.sent = true;
    return CURL_PREREQFUNC_OK;
}

std::size_t transfer::take_head(char* data, std::size_t, std::size_t size, void* self) {
    auto& t = *static_cast<transfer*>(self);
    const std::string_view line(data, size);
    if (line.starts_with("HTTP/")) t.answer.head.all.clear(); // after a 100 Continue, the real one
    else if (const auto colon = line.find(':'); colon != line.npos)
        t.answer.head.all.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
    t.head_bytes += size;
    if (t.head_bytes <= largest_answer_head) return size;
    t.too_large = true;
    return 0;
}

std::size_t transfer::take_body(char* data, std::size_t, std::size_t size, void* self) {
    auto& t = *static_cast<transfer*>(self);
    if (size > t.what.largest_answer - t.body_bytes) {
        t.too_large = true;
        return 0;
    }
    t.body_bytes += size;
    long status = 0;
    if (t.what.take) curl_easy_getinfo(t.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != http_ok) {
        t.answer.body.append(data, size);
        return size;
    }
    const auto taken = t.what.take({data, size});
    if (!taken) t.refused = taken.error();
    return taken ? size : 0;
}

result<void> transfer::prepare(const client_options& options) {
    if (!easy) throw std::bad_alloc();
    const auto url = internal::parse_url(what.url);
    if (!url) return url.error();
    if (url->scheme != "http" && url->scheme != "https") return refusal{"bad_url", "not an http or https URL"};
    if (!token(what.method)) return refusal{"bad_header", "the method is no HTTP method"};
    if (auto ok = set_head(); !ok) return ok;

    any_address = options.allow_private || !what.unix_socket.empty();
    if (const auto at = options.hosts.find(url->host); at != options.hosts.end() && what.unix_socket.empty()) {
        any_address = true;
        add_line(route, url->host + "::" + at->second);
        set(CURLOPT_CONNECT_TO, route.get());
    }
    if (!what.unix_socket.empty()) set(CURLOPT_UNIX_SOCKET_PATH, what.unix_socket.c_str());
    if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str()); // the system's are found by CAPATH all the same
    set(CURLOPT_URL, what.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_PATH_AS_IS, 1L); // "//" and "/../" mean what the caller wrote
    set(CURLOPT_PROXY, "");      // none, whatever the environment says
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TCP_NODELAY, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, what.within.count())));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, std::min(what.within, connect_within).count())));
    set(CURLOPT_ERRORBUFFER, error);
    set(CURLOPT_PRIVATE, this);
    set(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_PREREQFUNCTION, before_request);
    set(CURLOPT_PREREQDATA, this);
    set(CURLOPT_HEADERFUNCTION, take_head);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, take_body);
    set(CURLOPT_WRITEDATA, this);
    if (what.take) set(CURLOPT_LOW_SPEED_LIMIT, slow_bytes), set(CURLOPT_LOW_SPEED_TIME, slow_seconds);
    return {};
}

result<void> transfer::set_head() {
    for (const auto& [name, text] : what.head.all) {
        if (!token(name) || !one_line(text)) return refusal{"bad_header", "a header line that is not one line"};
        add_line(lines, text.empty() ? name + ';' : name + ": " + text); // how libcurl is told of an empty one
    }
    if (what.head.get("Expect").empty()) add_line(lines, "Expect:"); // never wait for a 100 Continue
    const bool has_body = !what.body.empty() || what.method == "POST" || what.method == "PUT" || what.method == "PATCH";
    if (what.method == "HEAD") set(CURLOPT_NOBODY, 1L);
    if (has_body) {
        if (what.head.get("Content-Type").empty()) add_line(lines, "Content-Type:"); // no form
        set(CURLOPT_POST, 1L);
        set(CURLOPT_POSTFIELDS, what.body.data());
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(what.body.size()));
    }
    set(CURLOPT_CUSTOMREQUEST, what.method.c_str());
    set(CURLOPT_HTTPHEADER, lines.get());
    return {};
}

result<response> transfer::finish(CURLcode code) {
    if (code == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
        answer.status = static_cast<unsigned>(status);
        return std::move(answer);
    }
    const std::string why = error[0] ? error : curl_easy_strerror(code);
    if (!refused.code.empty()) return refused;
    if (too_large) return refusal{"http_too_large", "the answer is larger than was asked for"};
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) return refusal{"bad_url", why};
    if (!sent && met_private) return refusal{"private_address", "the host's address is a private one, and those are not called"};
    if (!sent) return refusal{"http_unreachable", why};
    return refusal{code == CURLE_OPERATION_TIMEDOUT ? "http_timeout" : "http_broken", why};
}

} // namespace

class client::impl {
public:
    explicit impl(client_options o) : options_(std::move(o)) {
        start_curl();
        if (!options_.ca_file.empty() && ::access(options_.ca_file.c_str(), R_OK) != 0)
            throw std::runtime_error("cannot read the certificates in " + options_.ca_file.string());
        multi_.reset(curl_multi_init());
        if (!multi_) throw std::bad_alloc();
        curl_multi_setopt(multi_.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS, most_connections);
        curl_multi_setopt(multi_.get(), CURLMOPT_MAX_HOST_CONNECTIONS, most_per_host);
        curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, most_connections);
        thread_ = std::thread([this] { run(); });
    }
    ~impl() {
        {
            const std::lock_guard hold(guard_);
            stopping_ = true;
        }
        curl_multi_wakeup(multi_.get());
        thread_.join();
    }
    void fetch(call what, teller tell) {
        auto made = std::make_unique<transfer>(std::move(what), std::move(tell));
        {
            const std::lock_guard hold(guard_);
            made->too_large = arrived_.size() >= most_waiting; // told on the client's thread, as all answers are
            arrived_.push_back(std::move(made));
        }
        curl_multi_wakeup(multi_.get());
    }
    bool here() const { return std::this_thread::get_id() == thread_.get_id(); }

private:
    void run() {
        while (take_arrivals()) {
            int running = 0;
            curl_multi_perform(multi_.get(), &running);
            finish_done();
            curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr);
        }
        for (auto& [easy, one] : under_way_) {
            curl_multi_remove_handle(multi_.get(), easy);
            one->tell(refusal{"client_closed", "this node is stopping"});
        }
        under_way_.clear();
        for (auto last = arrivals(); !last.empty(); last = arrivals()) // a teller may call once more
            for (auto& one : last) one->tell(refusal{"client_closed", "this node is stopping"});
    }
    std::vector<std::unique_ptr<transfer>> arrivals() {
        const std::lock_guard hold(guard_);
        return std::exchange(arrived_, {});
    }
    bool take_arrivals() {
        std::vector<std::unique_ptr<transfer>> fresh;
        {
            const std::lock_guard hold(guard_);
            if (stopping_) return false;
            fresh.swap(arrived_);
        }
        for (auto& one : fresh) begin(std::move(one));
        return true;
    }
    void begin(std::unique_ptr<transfer> one) {
        if (one->too_large || under_way_.size() >= most_waiting)
            return one->tell(refusal{"client_busy", "too many calls are under way"});
        if (auto ok = one->prepare(options_); !ok) return one->tell(ok.error());
        auto* easy = one->easy.get();
        curl_multi_add_handle(multi_.get(), easy);
        under_way_.emplace(easy, std::move(one));
    }
    void finish_done() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const auto code = message->data.result;
            auto node = under_way_.extract(message->easy_handle);
            curl_multi_remove_handle(multi_.get(), node.key());
            auto& one = *node.mapped();
            one.tell(one.finish(code));
        }
    }

    const client_options options_;
    multi_handle multi_;
    std::mutex guard_;
    bool stopping_ = false;
    std::vector<std::unique_ptr<transfer>> arrived_;
    std::unordered_map<CURL*, std::unique_ptr<transfer>> under_way_;
    std::thread thread_;
};

client::client(client_options o) : impl_(std::make_unique<impl>(std::move(o))) {}
client::~client() = default;

void client::fetch(call what, std::function<void(result<response>)> tell) { impl_->fetch(std::move(what), std::move(tell)); }

result<response> client::fetch_now(call what) {
    if (impl_->here()) throw std::logic_error("fetch_now on the client's own thread would wait for itself");
    std::promise<result<response>> told;
    auto answer = told.get_future();
    fetch(std::move(what), [&](result<response> r) { told.set_value(std::move(r)); });
    return answer.get();
}

} // namespace souk::http
