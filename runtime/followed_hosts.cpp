#include <souk/runtime/followed_hosts.hpp>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include <souk/messages/ascii.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/value.hpp>

namespace souk {

namespace {

constexpr std::size_t longest_name = 253 + 6, largest_file = 64 * 1024, largest_body = 4 * 1024;

// Less a port, where there may be one.
std::string name_of(const std::string& hostname) { return hostname.substr(0, hostname.find(':')); }

} // namespace

followed_hosts::followed_hosts(options o) : options_(std::move(o)) {
    std::error_code none;
    if (!std::filesystem::exists(options_.file, none)) return;
    std::ifstream in(options_.file);
    std::string text(std::min<std::uintmax_t>(std::filesystem::file_size(options_.file), largest_file), '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    const auto read = in ? from_json(text) : result<value>(refusal{"unreadable", ""});
    const auto* names = read ? read->as<value::list>() : nullptr;
    if (!names) throw std::runtime_error(options_.file.string() + " is damaged: remove it, and the hosts in it may ask again");
    for (const auto& one : *names)
        if (const auto* name = one.as<std::string>(); name && all_.size() < most && check(*name) && !options_.known.contains(*name)) all_.insert(*name);
}

std::vector<std::string> followed_hosts::all() const {
    const std::lock_guard hold(guard_);
    std::vector<std::string> out;
    for (const auto& name : all_) out.push_back("https://" + name);
    return out;
}

bool followed_hosts::may(const std::string& hostname) const {
    const auto name = name_of(hostname);
    return std::any_of(options_.allowed.begin(), options_.allowed.end(), [&](const std::string& one) {
        return one == "*" || one == hostname || one == name || (one.starts_with('.') && name.size() > one.size() && name.ends_with(one));
    });
}

// An address is no name: whom a name leads to is judged when it is connected to, by the client's guard.
result<void> followed_hosts::check(const std::string& hostname) const {
    const auto name = name_of(hostname), port = hostname.substr(name.size());
    const bool well = hostname.size() <= longest_name && (is_handle(name) || (options_.development && name == "localhost")) &&
                      (port.empty() || (options_.development && port.size() >= 2 && port.size() <= 6 && port.find_first_not_of("0123456789", 1) == port.npos));
    const bool number = name.find_first_not_of("0123456789.") == name.npos;
    if (!well || number) return refusal{"InvalidRequest", "hostname is the name of a host, as hosts of the network have one"};
    if (!may(hostname)) return refusal{"HostBanned", "this node does not follow hosts that its operator did not name"};
    return {};
}

result<bool> followed_hosts::ask(const std::string& said) {
    const auto hostname = lower(said);
    if (const auto well = check(hostname); !well) return well.error();
    const std::lock_guard hold(guard_);
    if (options_.known.contains(hostname) || all_.contains(hostname)) return false;
    if (all_.size() >= most) return refusal{"not_now", "so many hosts are followed already"};
    all_.insert(hostname);
    if (keep()) return true;
    all_.erase(hostname);
    return refusal{"not_now", "it could not be kept"};
}

bool followed_hosts::keep() const {
    value::list names;
    for (const auto& one : all_) names.emplace_back(one);
    const auto next = std::filesystem::path(options_.file).concat(".next");
    std::ofstream out(next);
    out << to_json(value(std::move(names))) << '\n';
    out.close();
    std::error_code failed;
    if (out) std::filesystem::rename(next, options_.file, failed);
    return out && !failed;
}

http::response answer_request_crawl(followed_hosts& hosts, const http::request& r, const std::function<void(const std::string&)>& follow) {
    if (r.body.size() > largest_body) return http::error_response(400, {"InvalidRequest", "that is more than a name"});
    const auto body = from_json(r.body);
    if (!body) return http::error_response(400, {"InvalidRequest", body.error().text});
    const std::string name(body->text("hostname"));
    const auto asked = hosts.ask(name);
    if (!asked) {
        const auto& code = asked.error().code;
        return http::error_response(code == "not_now" ? 503 : code == "HostBanned" ? 403 : 400, asked.error());
    }
    if (*asked) follow("https://" + lower(name));
    return http::json_response(200, "{}");
}

} // namespace souk
