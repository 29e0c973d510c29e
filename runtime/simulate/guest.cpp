#include <souk/runtime/simulate/guest.hpp>

#include <sstream>

#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

namespace {

const std::string key_type = "ssh-ed25519";
constexpr const char* create = "/xrpc/com.atproto.repo.createRecord";

std::string field(const std::string& text) { return std::string(3, '\0') + static_cast<char>(text.size()) + text; }

} // namespace

std::string guest::document(const std::string& service, const std::string& handle, const std::string& account) {
    return "#cloud-init\n#serve " + service + ' ' + handle + ' ' + account + '\n';
}

guest::guest(universe& u, books& b, relay& at, std::string machine, std::string tenant, life alive)
    : u_(u), books_(b), relay_(at), web_(b.web_of("", alive)), machine_(std::move(machine)), tenant_(std::move(tenant)), alive_(std::move(alive)) {
    std::string key(32, '\0');
    for (auto& c : key) c = static_cast<char>(u_.chance().next());
    blob_ = field(key_type) + field(key);
}

value guest::key_record(const std::string& service) const {
    ssh_public_key k;
    k.key = key_type + ' ' + to_base64(blob_), k.service = service, k.name = service, k.createdAt = to_datetime(u_.now());
    return to_record(k);
}

void guest::boot(const compute::order& o) {
    std::istringstream lines(o.user_data);
    for (std::string line, word; std::getline(lines, line);) {
        std::istringstream words(line);
        if (words >> word && word == "#serve") words >> service_ >> user_ >> account_;
    }
    for (const auto& f : o.files) {
        if (f.path.ends_with("/token")) boot_token_ = f.content;
        if (f.path.ends_with("/base_url")) issuer_ = f.content;
    }
    if (service_.empty() || boot_token_.empty()) return;
    u_.later(alive_, u_.chance().between(1'000ms, 5'000ms), [me = shared_from_this()] { me->exchange(); });
}

void guest::exchange() {
    const auto parts = jwt::split(boot_token_);
    const auto subject = parts ? std::string(parts->claims.text("sub")) : std::string();
    post(issuer_ + "/v1/oidc/issue", boot_token_, value::map{{"aud", "api://ATProto?actx=" + account_}, {"sub", subject}, {"ttl", 3600}}, [this](unsigned status, const value& said) {
        if (status != 200) return retry(&guest::exchange);
        token_ = said.text("token"), tries_ = 0;
        if (u_.chance().one_in(6)) trespass();
        publish();
    });
}

void guest::publish() {
    post("https://" + relay_.name() + ".example" + create, token_, value::map{{"repo", account_}, {"collection", std::string(ssh_public_key::nsid)}, {"record", key_record(service_)}},
         [this](unsigned status, const value&) {
             if (status != 200) return retry(&guest::publish);
             tries_ = 0;
             knock();
         });
}

// Its tenant's document runs as root: it may try whatever it likes.
void guest::trespass() {
    const bool straight = u_.chance().one_in(3);
    const auto kind = u_.chance().one_in(2) ? std::string(vouch::nsid) : std::string(ssh_public_key::nsid);
    const auto whose = kind == vouch::nsid ? account_ : relay_.who().did;
    const auto host = straight ? account_.substr(account_.rfind(':') + 1) : relay_.name() + ".example";
    post("https://" + host + create, token_, value::map{{"repo", whose}, {"collection", kind}, {"record", value::map{{"$type", kind}, {"trespass", machine_}}}},
         [this, kind, whose](unsigned status, const value&) {
             if (status == 200 && trespassed) trespassed(machine_ + " wrote a " + kind + " of " + whose);
         });
}

void guest::serve(std::string user, std::string service) {
    user_ = std::move(user), service_ = std::move(service);
    knock();
}

void guest::knock() {
    const auto me = shared_from_this();
    relay_.connect({machine_, tenant_, user_, service_, key_type, blob_, alive_},
                   [me](bool yes) {
                       if (yes) me->tries_ = 0;
                       else me->retry(&guest::knock);
                   },
                   [me] { me->retry(&guest::knock); });
}

void guest::retry(again what) {
    const auto pause = 5s * (1 << std::min(tries_++, 6u));
    u_.later(alive_, pause, [me = shared_from_this(), what] { ((*me).*what)(); });
}

void guest::post(const std::string& url, const std::string& token, value body, std::function<void(unsigned status, const value&)> then) {
    http::call c;
    c.method = "POST", c.url = url, c.within = 50s, c.body = to_json(body);
    c.head.set("Authorization", "Bearer " + token);
    web_(std::move(c), [me = shared_from_this(), then](result<http::response> r) {
        const auto read = r ? from_json(r->body) : result<value>(r.error());
        then(read ? r->status : 0, read ? *read : value());
    });
}

} // namespace souk::simulate
