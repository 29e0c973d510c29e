// The account's owner allows this node by OAuth, once, in a browser: as a native client of the AT Protocol's profile does it, with the answer coming
// back to a door on loopback that is open for no longer than that.
#pragma once
#include <souk/backends/pds/oauth_session.hpp>
#include <souk/backends/records/did_document.hpp>

namespace souk::pds::oauth {

struct login {
    std::string host;       // https://host[:port], no slash at the end
    std::string identifier; // DID or handle of the account that it must turn out to be
    std::string did;        // of the same, where it is known already; may be empty
    std::uint16_t port = 0; // on 127.0.0.1, for the answer; 0: any
    std::chrono::milliseconds patience{600'000}; // for the person
    std::function<instant()> now;
    std::function<void(const std::string& url, std::uint16_t port)> show;  // what is to be opened, and where the answer is waited for
    std::function<result<did_document>(const std::string& did)> identify; // verified: who was let in
};
// Waits. Codes: "pds_no_oauth", "pds_unreachable", "pds_refused" (with the server's words, or the person's no), "pds_login_timeout" (nobody came
// back), "pds_login" (the answer is another server's, or lets in somebody else, or less), "port_in_use", and those of `identify`. What was granted and is
// not taken is given back.
result<grant> log_in(http::client&, const login&);

} // namespace souk::pds::oauth
