#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/broker/login.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/ssh_key.hpp>

using namespace souk;

namespace {

// An Ed25519 key's wire form with these 32 bytes.
std::string blob_of(char fill) {
    const auto field = [](const std::string& s) {
        std::string out{'\0', '\0', '\0'};
        return out + static_cast<char>(s.size()) + s;
    };
    return field("ssh-ed25519") + field(std::string(32, fill));
}
std::string line_of(char fill, const std::string& comment = "") { return "ssh-ed25519 " + to_base64(blob_of(fill)) + (comment.empty() ? "" : ' ' + comment); }
value key_record(const std::string& spelling, const std::string& line, const std::string& service) {
    return value::map{{"$type", ssh_public_key::nsid}, {spelling, line}, {"service", service}, {"createdAt", "2026-05-09T07:42:10Z"}};
}

struct account {
    std::vector<stored_record> records;
    void add(value v) {
        records.push_back(stage::record_of("did:plc:alice", std::string(ssh_public_key::nsid), "k" + std::to_string(records.size()), std::move(v)));
    }
    std::vector<std::string> open_to(char fill, const char* type = "ssh-ed25519") const { return login::services_for(records, type, blob_of(fill)); }
};
using names = std::vector<std::string>;

} // namespace

TEST_CASE_FIXTURE(account, "a key opens the services of every record that has it, and no others") {
    add(key_record("key", line_of('a'), "one"));
    add(key_record("publicKey", line_of('a', "vm@example"), "two")); // the lexicon's spelling
    add(key_record("key", line_of('b'), "three"));
    add(key_record("key", line_of('a'), "one"));
    CHECK(open_to('a') == names{"one", "two"});
    CHECK(open_to('b') == names{"three"});
    CHECK(open_to('c').empty());
    CHECK(open_to('a', "ssh-rsa").empty()); // type and bytes must both agree
}

TEST_CASE_FIXTURE(account, "a malformed record breaking a whole account: one locks nobody out") {
    add(value("text"));
    add(value::map{{"$type", ssh_public_key::nsid}});
    add(value::map{{"$type", ssh_public_key::nsid}, {"service", "x"}, {"createdAt", "2026-05-09T07:42:10Z"}}); // no key at all
    add(key_record("key", "ssh-ed25519 !!!", "x"));
    add(key_record("key", "command=\"rm -rf /\" " + line_of('a'), "x")); // options could grant
    add(key_record("key", line_of('a'), ""));
    add(key_record("key", line_of('a'), std::string(254, 's')));
    add(key_record("key", line_of('a'), "good"));
    CHECK(open_to('a') == names{"good"});
}

TEST_CASE_FIXTURE(account, "a record with two different keys means neither") {
    auto v = key_record("key", line_of('a'), "x");
    v.as<value::map>()->emplace("publicKey", line_of('b'));
    add(v);
    CHECK(open_to('a').empty());
    CHECK(open_to('b').empty());
    v.as<value::map>()->insert_or_assign("publicKey", line_of('a'));
    add(v);
    CHECK(open_to('a') == names{"x"});
}

TEST_CASE_FIXTURE(account, "records of other kinds open nothing") {
    records.push_back(stage::record_of("did:plc:alice", "com.example.other", "k", key_record("key", line_of('a'), "x")));
    CHECK(open_to('a').empty());
}
