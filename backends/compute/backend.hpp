// What can run a machine: one small interface, typed refusals. Everything is keyed by a tag that the caller derives and journals
// before it calls, so asking twice is asking once.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <souk/messages/described.hpp>

namespace souk::compute {

enum class tier : std::uint8_t { none, simulated, hardware }; // of attestation: from which root verified, never from a claim
BOOST_DESCRIBE_ENUM(tier, none, simulated, hardware)

struct size {
    std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;
    bool operator==(const size&) const = default;
};
BOOST_DESCRIBE_STRUCT(size, (), (cpus, mem_mib, disk_mib))
result<std::int64_t> to_mib(std::string_view text); // "512M", "10G", "1T", "1024K"; code "bad_size"

// Under this address a machine reaches its leads, whatever runs it: "https://10.0.2.100:8443" in a document works everywhere.
inline constexpr std::string_view outside_address = "10.0.2.100";

result<void> check_tag(std::string_view); // [a-z0-9-]{1,63}; code "bad_tag"

struct ability { // what a backend can really do on this host, probed, not configured
    std::string backend;    // "qemu", "sandbox", "null"
    std::string acceleration; // "tdx", "kvm", "emulation", "none"
    compute::tier tier = compute::tier::none;
    std::string note;       // for people: "KVM: /dev/kvm opens but a guest does not run; emulating"
};
BOOST_DESCRIBE_STRUCT(ability, (), (backend, acceleration, tier, note))

// A name inside the machine that leads to an address outside: the only way out that it has.
struct lead {
    std::vector<std::string> names; // may be empty: reached by guest address alone
    std::uint16_t port = 0;         // inside
    std::string to;                 // "host:port", outside
};
BOOST_DESCRIBE_STRUCT(lead, (), (names, port, to))

struct file {
    std::string path, content;
    std::uint32_t mode = 0600;
};
BOOST_DESCRIBE_STRUCT(file, (), (path, content, mode))

struct order {
    std::string tag;        // [a-z0-9-]{1,63}
    compute::size size;
    std::string user_data;  // the tenant's cloud-init document, as published; the backend re-emits its header
    std::string ssh_key;    // authorized_keys line for root
    std::vector<file> files;   // put there before anything of the tenant's runs (boot token)
    std::vector<lead> leads;
    std::string ca_pem;     // trusted inside the machine only
    instant not_after;      // no machine of this tag may start after this, however late the order arrives
};
BOOST_DESCRIBE_STRUCT(order, (), (tag, size, user_data, ssh_key, files, leads, ca_pem, not_after))

struct running {
    std::string host;      // where its SSH answers, as seen from this host's network
    std::uint16_t port = 0;
    std::string host_key;  // "ssh-ed25519 AAAA..."
    std::string user;
    compute::tier tier = compute::tier::none;
    bool operator==(const running&) const = default;
};
BOOST_DESCRIBE_STRUCT(running, (), (host, port, host_key, user, tier))

enum class problem : std::uint8_t { not_now, never, unknown };
struct launched {
    std::optional<compute::running> machine;
    problem kind = problem::unknown; // when there is none
    refusal why;
};
enum class presence : std::uint8_t { absent, starting, running, unknown };
struct report {
    presence is = presence::unknown;
    std::optional<compute::running> machine;
    instant as_of; // absent: nothing of this tag existed then, and nothing that was asked for before can still appear
    std::string note;
};

class backend {
public:
    virtual ~backend() = default;
    virtual ability can() const = 0;
    // Answers when SSH answers inside, or when it is known that it never will. Any thread; may take minutes. Launching a tag that
    // runs answers with that machine.
    virtual void launch(order, std::function<void(launched)>) = 0;
    virtual void look(const std::string& tag, std::function<void(report)>) = 0;
    // Ends it and everything of it. `absent` only when its processes, sockets and files are gone.
    virtual void terminate(const std::string& tag, std::function<void(report)>) = 0;
    virtual void list(std::function<void(result<std::vector<std::string>>)>) = 0; // tags with anything left of them
    virtual std::string console(const std::string& tag, std::size_t last_bytes) const = 0; // serial log, secrets struck out
};

} // namespace souk::compute
