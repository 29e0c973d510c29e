#include <souk/backends/compute/order.hpp>

#include <cstdio>
#include <set>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace souk::compute {

namespace {

constexpr std::size_t most_leads = 32, most_files = 64, largest_file = 256 * 1024, most_certificates = 16;
constexpr std::string_view name_chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

bool plausible_name(std::string_view n) { return !n.empty() && n.size() <= 253 && n.find_first_not_of(name_chars) == n.npos; }

bool plausible_address(std::string_view to) {
    const auto colon = to.rfind(':');
    if (colon == to.npos || !plausible_name(to.substr(0, colon))) return false;
    const auto port = to.substr(colon + 1);
    if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos) return false;
    const int n = std::stoi(std::string(port));
    return n > 0 && n <= 65535;
}

result<void> check_file(const file& f) {
    const auto bad = [&](std::string_view why) { return refusal{"bad_file", "'" + f.path.substr(0, 64) + "' " + std::string(why)}; };
    if (f.path.size() < 2 || f.path.size() > 1024 || f.path[0] != '/' || f.path.back() == '/') return bad("is no absolute path of a file");
    for (const auto c : f.path)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return bad("has a control character");
    if ((f.path + '/').find("/../") != f.path.npos) return bad("leads upwards");
    if (f.content.size() > largest_file) return bad("is larger than 256 KiB");
    if (f.mode > 0777) return bad("has a mode above 0777");
    return {};
}

} // namespace

result<void> check_leads(const std::vector<lead>& leads) {
    if (leads.size() > most_leads) return refusal{"bad_lead", "a machine has at most 32 leads"};
    std::set<std::uint16_t> ports;
    for (const auto& l : leads) {
        // 22 and 22022 are where its own SSH comes in.
        if (l.port == 0 || l.port == 22 || l.port == 22022 || !ports.insert(l.port).second)
            return refusal{"bad_lead", "port " + std::to_string(l.port) + " cannot be led, or is led twice"};
        if (!plausible_address(l.to)) return refusal{"bad_lead", "'" + l.to.substr(0, 64) + "' is not host:port"};
        for (const auto& n : l.names)
            if (!plausible_name(n) || n == "localhost") return refusal{"bad_lead", "'" + n.substr(0, 64) + "' is no name"};
    }
    return {};
}

result<void> check_files(const std::vector<file>& files) {
    if (files.size() > most_files) return refusal{"bad_file", "a machine is given at most 64 files"};
    for (const auto& f : files)
        if (const auto good = check_file(f); !good) return good;
    return {};
}

std::string hosts_line(const std::vector<lead>& leads) {
    std::set<std::string> names;
    for (const auto& l : leads) names.insert(l.names.begin(), l.names.end());
    if (names.empty()) return {};
    std::string line(outside_address);
    for (const auto& n : names) line += ' ' + n;
    return line;
}

result<std::vector<certificate>> certificates(const std::string& pem) {
    std::vector<certificate> found;
    BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    while (X509* one = found.size() < most_certificates ? PEM_read_bio_X509(in, nullptr, nullptr, nullptr) : nullptr) {
        char name[24];
        std::snprintf(name, sizeof name, "%08lx.%zu", X509_subject_name_hash(one), found.size());
        BIO* out = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(out, one);
        char* data = nullptr;
        const auto n = BIO_get_mem_data(out, &data);
        found.push_back({name, std::string(data, static_cast<std::size_t>(n))});
        BIO_free(out);
        X509_free(one);
    }
    BIO_free(in);
    if (found.empty()) return refusal{"bad_ca", "the CA to trust is no PEM certificate"};
    return found;
}

} // namespace souk::compute
