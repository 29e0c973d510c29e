// TXT records: how a handle names its DID, where its owner has DNS and no web server.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <souk/messages/result.hpp>

namespace souk {

class txt_lookup {
public:
    using teller = std::function<void(result<std::vector<std::string>>)>;
    virtual ~txt_lookup() = default; // those who wait are told
    // The texts at this name, none where there are none; "dns_unreachable" where that cannot be told. From any thread, told on another.
    virtual void txt(const std::string& name, teller) = 0;
};

// The system's resolver, or one server ("ADDRESS:PORT", IPv4). Two questions at a time, 64 waiting, each for at most 8 s a server.
std::unique_ptr<txt_lookup> make_txt_lookup(const std::string& server = {}); // throws std::runtime_error where that is no address

} // namespace souk
