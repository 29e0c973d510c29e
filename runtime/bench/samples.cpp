#include <souk/runtime/bench/samples.hpp>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/json.hpp>

namespace souk::bench {

std::string document() {
    const auto file = std::filesystem::path(SOUK_DATA_DIR) / "examples" / "my-cool-role.json";
    const auto read = from_json(tls::read_file(file));
    if (!read) throw std::runtime_error(file.string() + ": " + read.error().text);
    const auto* record = read->find("record");
    if (!record || record->text("user_data").empty()) throw std::runtime_error(file.string() + " has no user_data");
    return std::string(record->text("user_data"));
}

ccrfp sample_request() {
    ccrfp r;
    r.cpus = 1, r.mem = "512M", r.disk = "10G", r.network = "500G";
    r.location = place{"USA", "west"};
    r.role = "my-cool-role";
    r.user_data = document();
    return r;
}

ccb sample_bid(const strong_ref& rfp) {
    const std::string below = "/root/secrets/digitalocean.com/serviceaccount/";
    ccb b;
    b.embed_ = {std::string(ccrfp::nsid), rfp};
    b.bid.cost = "0.06", b.bid.currency = "USDC", b.bid.frequency = "hourly", b.bid.prepay = true;
    b.bid.x402.base_url = "https://bob.example/ccr/{at}/{cid}";
    souk::wif w;
    w.issuer_uri = "https://bob.example", w.to_issue = "exchange-custom-droplet-oidc-poc";
    w.token_path = below + "token", w.url_path = below + "base_url", w.url_route = "/v1/oidc/issue";
    w.subject = "actx:{actx}:plc:{did-plc-key}:role:{role}";
    b.wif = w;
    b.location = place{"USA", "west"};
    b.attestation = "none";
    b.createdAt = "2026-05-09T07:42:10.000Z", b.expiresAt = "2026-05-09T07:52:10.000Z";
    return b;
}

} // namespace souk::bench
