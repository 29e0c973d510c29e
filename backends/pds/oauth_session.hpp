// A session that the account's owner has allowed by OAuth: a token for an hour, bound to a key of its own (DPoP), and one to renew it with, which is
// good for one use. Both are in one file, and so is the intent to renew before the host is asked: whatever is cut short is known afterwards.
#pragma once
#include <filesystem>

#include <souk/backends/pds/oauth_server.hpp>
#include <souk/backends/pds/session.hpp>
#include <souk/backends/store/kept_file.hpp>

namespace souk::pds {

namespace oauth {

struct grant { // what a login leaves
    std::string host, did;
    std::string issuer, token_url, revoke_url;
    std::string scope;
    crypto::secret key, access, renew; // P-256; tokens
    instant until{};                   // of `access`, as the server said
    std::optional<instant> asked;      // to renew it, then, and the answer is not here
    std::string over;                  // why it is: a person has to log in again
    grant copy() const;
};
std::string to_text(const grant&);              // JSON, with everything in it: for a file that is nobody else's to read
result<grant> read_grant(const std::string&);   // code "bad_grant"
// Of a server's answer to a request for tokens, what it says of them. "pds_login": not what was asked for.
result<void> take_tokens(grant&, const answer&, instant now);
constexpr std::size_t largest_grant = 64 * 1024;

} // namespace oauth

class oauth_session final : public session {
public:
    // `lock` is taken while tokens are renewed, by whoever uses the same file: two of them renew once. What is given outlives it.
    oauth_session(http::client&, std::string host, std::string did, kept_file& grant, std::filesystem::path lock, std::function<instant()> now);

    result<void> log_in() override; // never more than to renew: "pds_login_needed" is for a person
    void try_again() override { next_try_ = {}; }

private:
    result<void> show(http::call&) override;
    void hear(const std::string& url, const http::response&) override;
    result<bool> mend(const reply&, unsigned before) override;

    result<oauth::grant> read() const;
    void use(oauth::grant);
    result<void> keep();
    result<void> renew();
    result<void> renewed(const oauth::answer&, std::optional<instant> asked_before);
    result<void> finish(const std::string& why, std::optional<instant> asked_before);

    kept_file& file_;
    const std::filesystem::path lock_;
    oauth::grant has_;
    std::optional<oauth::prover> prover_; // with the grant's key
    bool unkept_ = false;                 // the file does not have what is here
    instant next_try_{};
    unsigned refused_ = 0, nonces_ = 0, proofs_ = 0, renewals_ = 0; // of renewing; and of the call that is being mended
};

} // namespace souk::pds
