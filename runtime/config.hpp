// A node's configuration: one TOML file. Every key is known; an unknown one, or a value of another type, is refused with file, line, key
// and what was expected. docs/operations.md describes each key.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <souk/actors/requester/spending.hpp>
#include <souk/backends/compute/backend.hpp>
#include <souk/backends/keys/locked_key.hpp>
#include <souk/messages/dialect.hpp>

namespace souk {

struct endpoint {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    std::string text() const { return host + ':' + std::to_string(port); }
};

struct chain_rail {
    std::string network, asset, token = "USDC", token_version = "2";
    std::vector<std::string> nodes;                 // addresses of JSON-RPC
    std::map<std::string, std::string> headers;     // sent to all of them
    std::string facilitator;                        // who settles, instead of keys of our own; https://...
    std::map<std::string, std::string> facilitator_headers;
    std::int64_t agree = 1, signers = 1, confirmations = 1, watched = 12, most_gas = 250'000, most_fee_gwei = 100, most_gas_of_wallet = 1'000'000;
    std::vector<std::string> wallet_factories;      // that may be asked to deploy a payer's wallet (EIP-6492), at this node's cost
};

struct channel_rules {
    bool take = false, pay = false;            // as a seller; as a buyer
    std::chrono::seconds step{60}, grace{30};  // of what is sold
    std::chrono::seconds withdraw_delay{86'400}, longest_withdrawal{86'400}; // asked of payers; and put up with as one
    amount claim_at = 500'000, most_unclaimed = 1'000'000, most_of_payer = 2'000'000, most_in_all = 20'000'000;
    std::string contract, collector;           // on a chain, where they are not the usual ones
};

struct escrow_rules {
    bool on = false, take = false; // money of one's own may be there; and requests are served for what others have there
    amount present_at = 500'000, most_open = 1'000'000, most_in_all = 20'000'000;
    std::chrono::seconds present_after{600}, before{600}, latest{86'400};
    std::string contract; // on a chain
};

struct node_config {
    std::filesystem::path file;

    // [node]
    std::string name, owner;            // owner: whose node it is; the name, unless said
    std::filesystem::path directory;    // state: keys, journal, records, control socket
    std::set<std::string> roles;        // requester policy signer bidder payments fleet launcher issuer broker
    std::string log_level = "info";
    std::chrono::days keep_facts{30};   // of what rests or has ended; then only what they led to

    // [identity]
    std::string identity = "none";      // plc, web, account, none
    std::string handle;
    bool publish = false;               // tell the directory of a did:plc: what is told there stays
    bool seal = true;                   // name the key that receipts are sealed to; a directory of old takes no such key
    std::vector<std::string> recovery;  // did:keys that outrank the node's own rotation key, the most powerful first
    std::map<std::string, std::pair<std::string, std::string>> services; // of the document: id -> type, https URL

    // [pds]: an account at somebody else's host, where [identity] says "account"
    std::string pds_host, pds_identifier;
    std::filesystem::path pds_password;
    std::chrono::seconds pds_look_every{15};

    // [door]
    std::optional<endpoint> door;
    std::string public_url;             // https://host:port, no slash at the end
    std::filesystem::path door_certificate, door_key;

    // [network]
    std::vector<std::string> watch;     // hosts whose new records are read, as Jetstream frames them
    std::vector<std::string> relays;    // hosts whose streams of commits are read, verified, and that are asked to read ours
    std::vector<std::string> crawls;    // hosts that may ask to be followed too (requestCrawl): names, ".example.com" for all below it, "*" for any
    std::string plc_directory = "https://plc.directory";
    std::filesystem::path authority;    // roots besides the system's, for outgoing connections
    bool allow_private = false;
    std::map<std::string, std::string> hosts;
    std::string dns = "system";         // who is asked for handles' TXT records: system, none, ADDRESS:PORT

    // [cluster]
    std::optional<endpoint> cluster;
    std::filesystem::path cluster_directory; // authority.crt, node.crt, node.key
    std::vector<std::pair<std::string, endpoint>> peers;
    std::vector<std::string> allowed;

    // [policy], [requester]
    bool seek = true;                   // requests are sent to sellers who are known by their offerings, too
    std::vector<std::string> policy_rules;
    std::vector<std::string> policy_answers; // DIDs who may ask by evaluatePolicy: a verdict tells of whom this node trusts
    std::string relay;                  // DID of the relay that writes machines' keys for us
    dialect speaks = dialect::g1;       // generation of the contract's records that requests are written in

    // [market]
    bool registry = false;              // bidders may register here, and be listed
    std::chrono::seconds look_every{600}; // at who sells, by the lists of `watch` and `relays`; their streams tell meanwhile

    // [bidder]
    std::string cost = "0.06", currency = "USDC", frequency = "hourly", tier = "none";
    std::optional<std::int64_t> slice;
    std::chrono::seconds bid_life{600};
    std::optional<place> location;
    std::vector<std::string> bidder_rules;
    bool offering = true;               // say to everyone what is sold here; false takes back what was said
    std::string token_path, url_path, actx_path, url_route, to_issue;

    // [ledger]: this node keeps the development ledger; [wallet]: where it is, for one that does not
    bool ledger = false;
    std::map<std::string, std::string> funds; // address -> whole units, given once
    std::string wallet_ledger;                // https://host:port
    std::filesystem::path passphrase_file;    // of the keys of secp256k1
    passphrase_source passphrase;             // not read from here: by whoever starts the node, or opens its keys (runtime/passphrase.hpp)

    spending_limits spending; // [spending]
    channel_rules channels;   // [channels]: contracts that are paid while they run

    escrow_rules escrow;      // [escrow]: requests that are paid out of what was set aside

    // [rail]: a chain; [facilitator]: whose payments are settled on it beside this node's own
    std::optional<chain_rail> chain;
    std::map<std::string, std::string> facilitator_callers; // name -> SHA-256 of its bearer token, in hexadecimal
    bool facilitator = false, facilitator_open = false;

    // [issuer]
    std::string issuer_uri, actx;

    // [launcher]
    std::string backend = "qemu";       // qemu, sandbox, null
    compute::size capacity;
    std::filesystem::path image;
    bool allow_emulation = true;
    std::chrono::seconds boot_within{240};
    std::string base_url;
    std::vector<compute::lead> leads;
    std::filesystem::path machine_authority;

    // [broker]
    std::optional<endpoint> tunnel_ssh, tunnel_https;
    std::string domain;
    std::filesystem::path tunnel_certificate, tunnel_key;
    std::filesystem::path names_authority; // development: less ".crt" and ".key"
};

// Code "bad_config"; the text begins "FILE:LINE: key: ".
result<node_config> read_config(const std::filesystem::path&);
result<node_config> parse_config(std::string_view text, const std::filesystem::path& file);

} // namespace souk
