#include <souk/runtime/cluster/enrolment.hpp>

#include <algorithm>

#include <openssl/crypto.h>
#include <sodium.h>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/described.hpp>
#include <souk/runtime/cluster/credentials.hpp>
#include <souk/runtime/cluster/invitations.hpp>

namespace souk::enrolment {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = "souk1.";
constexpr std::size_t longest_token = 4096, longest_pem = 64 * 1024, most_invitations = 10'000, longest_door = 512;
constexpr std::chrono::hours remembered{24 * 30}; // a token that is over, so that its holder is told why
constexpr auto member_for = std::chrono::hours{24 * 365 * 2};

struct token_fields {
    std::string node, door, fingerprint;
    octets secret;
};
BOOST_DESCRIBE_STRUCT(token_fields, (), (node, door, fingerprint, secret))

// One DNS label: it is a name in a certificate, and shown to people.
bool is_node_name(const std::string& s) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !s.empty() && s.size() <= 63 && s.front() != '-' && s.back() != '-' && std::ranges::all_of(s, fits);
}
refusal bad_name(const std::string& s) { return {"bad_name", '"' + to_utf8(s.substr(0, 64)) + "\" is not a node's name: 1 to 63 of a-z, 0-9 and -"}; }

tls::leaf leaf_of(const std::string& node) {
    tls::leaf l;
    l.common_name = node, l.dns = {node}, l.server = l.client = true, l.valid = member_for;
    return l;
}

result<tls::identity> authority_in(const fs::path& directory) {
    if (!fs::exists(directory / "authority.key")) return refusal{"not_the_authority", "this node did not found a cluster: " + directory.string() + " has no authority.key"};
    return tls::identity{tls::read_file(directory / "authority.crt"), tls::read_file(directory / "authority.key")};
}

result<token_fields> read_token(const std::string& token) {
    const refusal bad{"bad_token", "this is not an invitation to a cluster"};
    if (token.size() > longest_token || !token.starts_with(prefix)) return bad;
    const auto bytes = from_base64url(std::string_view(token).substr(prefix.size()));
    if (!bytes) return bad;
    auto fields = decode_described<token_fields>(*bytes);
    if (!fields || !is_node_name(fields->node) || fields->fingerprint.size() != 64 || fields->secret.data.size() != 16) return bad;
    return fields;
}

void make_private(const fs::path& directory) {
    if (!fs::exists(directory)) {
        fs::create_directories(directory);
        fs::permissions(directory, fs::perms::owner_all);
    }
}

// Everything that a node will ask of its files when it starts, asked before they are put in place.
result<void> install(const fs::path& directory, const std::string& node, const std::string& certificate, const std::string& key, const std::string& authority) {
    make_private(directory);
    const auto fresh = directory / ".joining";
    fs::remove_all(fresh);
    make_private(fresh);
    const auto from = files_of(fresh), to = files_of(directory);
    tls::write_secret(from.key, key);
    tls::write_secret(from.authority, authority);
    tls::write_secret(from.certificate, certificate);
    try {
        const souk::carrier::credentials check(node, from.certificate, from.key, from.authority, {});
    } catch (const std::runtime_error& e) {
        fs::remove_all(fresh);
        return refusal{"bad_certificate", e.what()};
    }
    fs::rename(from.key, to.key);
    if (!fs::exists(to.authority)) fs::rename(from.authority, to.authority);
    fs::rename(from.certificate, to.certificate); // last: with it the node is a member
    fs::remove_all(fresh);
    return {};
}

template <class F>
auto with_storage(F f) -> decltype(f()) {
    try {
        return f();
    } catch (const std::exception& e) { // files and OpenSSL: the text says which
        return refusal{"storage", e.what()};
    }
}

result<void> spend(invitation_list& list, const application& a, instant now) {
    std::erase_if(list.all, [&](const invitation& i) { return i.ends + remembered < now; });
    const auto asked = hash_of(a.token);
    invitation* found = nullptr;
    for (auto& i : list.all)
        if (i.hash.size() == asked.size() && CRYPTO_memcmp(i.hash.data(), asked.data(), asked.size()) == 0) found = &i;
    if (!found) return refusal{"bad_token", "this cluster has no such invitation"};
    if (found->node != a.node) return refusal{"wrong_name", "the invitation is for another node"};
    if (found->spent) return refusal{"token_spent", "the invitation was used already: ask for a new one"};
    if (found->ends <= now) return refusal{"token_expired", "the invitation is over: ask for a new one"};
    found->spent = true;
    return {};
}

} // namespace

membership files_of(const fs::path& d) { return {d / "authority.crt", d / "node.crt", d / "node.key"}; }

result<void> init(const fs::path& directory, const std::string& cluster, const std::string& node) {
    return with_storage([&]() -> result<void> {
        if (!is_node_name(node)) return bad_name(node);
        if (cluster.empty() || cluster.size() > 64 || !is_utf8(cluster)) return refusal{"bad_name", "a cluster's name has 1 to 64 characters"};
        for (const char* file : {"authority.key", "authority.crt", "node.crt"})
            if (fs::exists(directory / file))
                return refusal{"already_a_member", directory.string() + " has a membership already (" + file + "): choose another directory, or move it away"};
        const auto authority = tls::make_authority(cluster);
        const auto own = tls::issue(authority, leaf_of(node));
        make_private(directory);
        tls::write_secret(directory / "authority.key", authority.key);
        tls::write_secret(directory / "authority.crt", authority.certificate);
        return install(directory, node, own.certificate, own.key, authority.certificate);
    });
}

result<std::string> invite(const fs::path& directory, const std::string& node, const std::string& door, instant ends) {
    return with_storage([&]() -> result<std::string> {
        if (!is_node_name(node)) return bad_name(node);
        if (!(door.starts_with("https://") || door.starts_with("http://")) || door.size() > longest_door || !is_utf8(door))
            return refusal{"bad_door", "the door is a URL: https://HOST:PORT"};
        const auto authority = authority_in(directory);
        if (!authority) return authority.error();
        token_fields t{node, door, tls::fingerprint(authority->certificate), {std::string(16, '\0')}};
        ::randombytes_buf(t.secret.data.data(), t.secret.data.size());
        auto token = std::string(prefix) + to_base64url(encode_described(t));
        const auto kept = change_invitations(directory, [&](invitation_list& list) -> result<void> {
            if (list.all.size() >= most_invitations) return refusal{"too_many", "there are ten thousand invitations already"};
            list.all.push_back({node, hash_of(token), ends, false});
            return {};
        });
        if (!kept) return kept.error();
        return token;
    });
}

result<admission> admit(const fs::path& directory, const application& a, instant now) {
    return with_storage([&]() -> result<admission> {
        if (a.token.size() > longest_token) return refusal{"bad_token", "this is not an invitation to a cluster"};
        if (!is_node_name(a.node)) return bad_name(a.node);
        const auto authority = authority_in(directory);
        if (!authority) return authority.error();
        auto certificate = tls::sign_request(*authority, a.request, leaf_of(a.node)); // pure: it exists only once it is given out
        if (!certificate) return certificate.error();
        const auto spent = change_invitations(directory, [&](invitation_list& list) { return spend(list, a, now); });
        if (!spent) return spent.error();
        return admission{std::move(*certificate), authority->certificate};
    });
}

result<prepared> prepare(const std::string& token) {
    return with_storage([&]() -> result<prepared> {
        const auto t = read_token(token);
        if (!t) return t.error();
        prepared p{t->door, t->fingerprint, {t->node, token, {}}, {}};
        p.body.request = tls::make_request(p.key, t->node);
        return p;
    });
}

result<void> accept(const fs::path& directory, const prepared& p, const admission& a) {
    return with_storage([&]() -> result<void> {
        if (a.certificate.size() > longest_pem || a.authority.size() > longest_pem) return refusal{"bad_certificate", "a certificate of more than 64 KiB"};
        if (fs::exists(files_of(directory).certificate))
            return refusal{"already_a_member", directory.string() + " has a membership already (node.crt): choose another directory, or move it away"};
        std::string shown;
        try {
            shown = tls::fingerprint(a.authority);
        } catch (const std::exception& e) {
            return refusal{"bad_certificate", e.what()};
        }
        if (shown != p.fingerprint) return refusal{"wrong_authority", "another authority answered than the one that invited: nothing was written"};
        const auto there = files_of(directory).authority;
        if (fs::exists(there) && tls::fingerprint(tls::read_file(there)) != shown)
            return refusal{"already_a_member", directory.string() + " has another cluster's authority.crt: choose another directory, or move it away"};
        return install(directory, p.body.node, a.certificate, p.key, a.authority);
    });
}

} // namespace souk::enrolment
