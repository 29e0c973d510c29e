#include <souk/runtime/cli/remote.hpp>

#include <souk/messages/json.hpp>

namespace souk::cli {

result<value> remote::get(const std::string& path, const std::vector<std::pair<std::string, std::string>>& query) const {
    http::call c;
    c.url = "http://node" + path;
    char before = '?';
    for (const auto& [name, text] : query) {
        c.url += before + name + '=' + http::percent_encode(text);
        before = '&';
    }
    return call(std::move(c));
}

result<value> remote::post(const std::string& path, value::map body) const {
    http::call c;
    c.method = "POST", c.url = "http://node" + path, c.body = to_json(std::move(body));
    c.head.set("content-type", "application/json");
    return call(std::move(c));
}

result<value> remote::call(http::call c) const {
    c.unix_socket = directory_ / "control.sock", c.largest_answer = 16 << 20;
    const auto answer = web_.fetch_now(std::move(c));
    if (!answer) {
        if (answer.error().code == "http_unreachable")
            return refusal{"no_node", "no node answers at " + (directory_ / "control.sock").string() + "; is it running? (souk node --config FILE, or --node DIRECTORY)"};
        return answer.error();
    }
    json_limits wide;
    wide.bytes = 16 << 20;
    auto body = from_json(answer->body, json_form::plain, wide);
    if (!body) return body.error();
    if (answer->status != 200) return refusal{std::string(body->text("error")), std::string(body->text("message"))};
    return std::move(*body);
}

} // namespace souk::cli
