// An authorized_keys line: "ssh-ed25519 AAAA... comment". No options: a line with options is refused, since they could grant.
#pragma once
#include <string>

#include <souk/messages/result.hpp>

namespace souk {

struct ssh_key_line {
    std::string type;    // "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "sk-ssh-ed25519@openssh.com", ...
    std::string blob;    // decoded; its own leading name equals `type`
    std::string comment; // printable, at most 256
    static result<ssh_key_line> parse(std::string_view line); // at most 16 KiB, one line; code "bad_ssh_key"
    std::string text() const;
};

} // namespace souk
