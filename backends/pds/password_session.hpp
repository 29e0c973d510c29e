// A session by password, at best one that was made for this program alone: com.atproto.server.{createSession,refreshSession}.
#pragma once
#include <souk/backends/pds/session.hpp>
#include <souk/backends/store/kept_file.hpp>
#include <souk/messages/crypto.hpp>

namespace souk::pds {

struct account {
    std::string host;       // https://host[:port], no slash at the end
    std::string identifier; // DID or handle
    std::string did;        // whose it must turn out to be; empty: whose it is
    std::function<result<crypto::secret>()> password; // asked for at each login, so that it is nowhere in between
};

class password_session final : public session {
public:
    // Tokens are kept in `tokens` (0600), so that a restart does not log in anew: hosts count logins. What is given outlives it.
    password_session(http::client&, account, kept_file& tokens, std::function<instant()> now);

    result<void> log_in() override;
    void try_again() override { next_login_ = {}; }

private:
    result<void> show(http::call&) override;
    result<bool> mend(const reply&, unsigned before) override;
    result<void> refresh();
    result<void> take(const reply&);

    const account who_;
    kept_file& tokens_;
    crypto::secret access_, renew_;
    instant next_login_{};
    unsigned refused_logins_ = 0;
};

} // namespace souk::pds
