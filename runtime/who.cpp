#include <souk/runtime/who.hpp>

#include <algorithm>

#include <souk/actors/common/service_call.hpp>
#include <souk/runtime/account.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/runtime/node.hpp>

namespace souk {

who identify(const node_config& c, const keyring& keys) {
    who w;
    if (c.identity == "account") { // its document is the network's to tell; this is what is known without asking
        const auto known = account_of(c);
        if (!known) throw std::runtime_error("there is no account at " + c.pds_host + " yet: souk --node " + c.directory.string() + " account create, or account login");
        w.document.did = known->did, w.document.pds = c.pds_host;
        if (!known->handle.empty()) w.document.handles = {known->handle};
        w.document.signing = {keys.signing_public()};
        return w;
    }
    const auto seal = c.seal ? crypto::seal_did_key(keys.seal().public32) : std::string();
    if (c.identity == "plc") {
        plc::genesis_of says{keys.rotation_public(), keys.signing_public(), seal, c.handle, c.public_url, c.recovery, c.services, keys.retired()};
        if (const auto next = keys.next_signing()) says.also.insert(says.also.begin(), *next); // named before it is used
        w.account = std::make_unique<plc_account>(plc_account::options{c.directory / "plc.json", c.plc_directory, c.publish, std::move(says), wall_clock()}, keys.rotation());
        w.document = w.account->own().document;
        return w;
    }
    const auto did = service::did_of_door(c.public_url);
    if (!did) throw std::runtime_error(c.public_url + ": " + did.error().text);
    w.document.did = *did;
    if (!c.handle.empty()) w.document.handles = {c.handle};
    w.document.signing = {keys.signing_public()};
    w.document.seal_key = seal;
    w.document.pds = c.public_url;
    for (const auto& [id, what] : c.services) w.document.services.push_back({id, what.first, what.second});
    return w;
}

std::string trouble_of(const who& w, const keyring& keys) {
    const auto& signing = w.document.signing;
    if (std::find(signing.begin(), signing.end(), keys.signing_public()) == signing.end()) return "its log does not name this node's signing key: nobody will believe what it signs";
    const auto look = w.account ? w.account->look() : plc_account::state{};
    return look.as_wanted ? "" : "its log cannot be made to say what the configuration says: " + look.why_not;
}

node_identity identity_of(const node_config& c) {
    std::filesystem::create_directories(c.directory);
    const keyring keys(c.directory / "keys", c.passphrase);
    node_identity id{{}, keys.wallet_address(), c.handle};
    if (c.identity != "none") id.did = identify(c, keys).document.did;
    return id;
}

} // namespace souk
