// The NoCloud seed. The tenant's document stays its own: one word of its first line is changed, because the published examples begin
// with "#cloud-init", which cloud-init does not know, and would ignore. Everything of the provider's goes into vendor-data.
//
// A boothook carries it, not vendor `write_files`: a list in the tenant's document replaces a vendor's list whole, while a boothook
// runs before any module and no key of the document can replace it.
#include <cstdio>

#include <yaml-cpp/yaml.h>

#include <souk/backends/compute/order.hpp>
#include <souk/backends/compute/qemu.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/ssh_key.hpp>

namespace souk::compute {

namespace {

constexpr std::size_t longest_document = 64 * 1024;

refusal bad(std::string why) { return {"bad_user_data", "user_data " + std::move(why)}; }

// Its first line, without the line's end.
std::string_view first_line(std::string_view text) {
    auto line = text.substr(0, std::min(text.find('\n'), text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
    return line;
}

result<void> check_cloud_config(const std::string& text) {
    try {
        const auto document = YAML::Load(text);
        if (!document.IsMap() && !document.IsNull()) return bad("is no map of cloud-config keys");
        // It would switch off the provider's part, and with it the tenant's own way in.
        if (document.IsMap() && document["vendor_data"]) return bad("must not set vendor_data: that is the provider's part");
    } catch (const YAML::Exception& e) {
        return bad("is no YAML: line " + std::to_string(e.mark.line + 1) + ": " + e.msg);
    }
    return {};
}

result<std::string> reissued(const std::string& text) {
    if (text.size() > longest_document) return refusal{"user_data_too_large", "user_data has " + std::to_string(text.size()) + " bytes, the limit is 65536"};
    if (text.find('\0') != text.npos) return bad("has a zero byte");
    const auto header = first_line(text);
    if (header.starts_with("#!")) return text;
    if (header != "#cloud-init" && header != "#cloud-config") return bad("must begin with #cloud-config, #cloud-init or #!");
    auto out = text;
    if (header == "#cloud-init") out.replace(0, header.size(), "#cloud-config");
    if (const auto good = check_cloud_config(out); !good) return good.error();
    return out;
}

std::string sh(std::string_view text) { // for sh
    std::string out = "'";
    for (const char c : text) c == '\'' ? out += "'\\''" : out += c;
    return out + '\'';
}

std::string in_lines(const std::string& base64) {
    std::string out;
    for (std::size_t at = 0; at < base64.size(); at += 76) out.append(base64, at, 76).append("\n");
    return out;
}

void put_file(std::string& hook, const std::string& path, const std::string& content, std::uint32_t mode) {
    char octal[8];
    std::snprintf(octal, sizeof octal, "%04o", mode);
    const auto p = sh(path), dir = sh(path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)));
    hook += "mkdir -p " + dir + "\nbase64 -d > " + p + " <<'SOUK'\n" + in_lines(to_base64(content)) + "SOUK\nchmod " + octal + " " + p + "\n";
}

result<std::string> boothook(const order& o) {
    std::string hook = "#cloud-boothook\n#!/bin/sh\n# The provider's part: files, names that lead outside, a CA, a key. Runs at every boot, before any module.\numask 077\n";
    if (const auto good = check_files(o.files); !good) return good.error();
    for (const auto& f : o.files) put_file(hook, f.path, f.content, f.mode);
    if (!o.ssh_key.empty()) {
        const auto key = ssh_key_line::parse(o.ssh_key);
        if (!key) return key.error();
        const auto line = sh(key->text());
        hook += "mkdir -p /root/.ssh\ntouch /root/.ssh/authorized_keys\ngrep -qxF " + line + " /root/.ssh/authorized_keys || echo " + line + " >> /root/.ssh/authorized_keys\n";
    }
    hook += "umask 022\n";
    if (const auto line = hosts_line(o.leads); !line.empty()) {
        // Also into the template: a document with manage_etc_hosts has the file made anew from it.
        hook += "for f in /etc/hosts /etc/cloud/templates/hosts.debian.tmpl; do\n  [ ! -e $f ] || grep -qF " + sh(line) + " $f || echo " + sh(line) + " >> $f\ndone\n";
    }
    if (!o.ca_pem.empty()) {
        const auto all = certificates(o.ca_pem);
        if (!all) return all.error();
        std::string together;
        for (const auto& [name, pem] : *all) {
            put_file(hook, "/etc/ssl/certs/" + name, pem, 0644);
            together += pem;
        }
        put_file(hook, "/usr/local/share/ca-certificates/souk.crt", together, 0644);
        hook += "[ -e /run/souk-ca ] || cat /usr/local/share/ca-certificates/souk.crt >> /etc/ssl/certs/ca-certificates.crt\n: > /run/souk-ca\n";
    }
    return hook;
}

// In base64 no content can contain the boundary.
std::string part(std::string_view type, const std::string& content) {
    return "--==souk==\nContent-Type: text/" + std::string(type) + "; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n" + in_lines(to_base64(content));
}

} // namespace

result<seed> make_seed(const order& o) {
    seed s;
    auto document = reissued(o.user_data);
    if (!document) return document.error();
    s.user_data = std::move(*document);
    const auto hook = boothook(o);
    if (!hook) return hook.error();
    std::string config = "#cloud-config\n";
    if (!o.ssh_key.empty()) config += "ssh_authorized_keys:\n  - " + sh(ssh_key_line::parse(o.ssh_key).value().text()) + "\n"; // '' is YAML's way too, and a key has none
    s.vendor_data = "Content-Type: multipart/mixed; boundary=\"==souk==\"\nMIME-Version: 1.0\n\n" + part("cloud-boothook", *hook) + part("cloud-config", config) + "--==souk==--\n";
    s.meta_data = "instance-id: " + o.tag + "\nlocal-hostname: " + o.tag + "\n";
    s.network_config = "version: 2\nethernets:\n  eth0:\n    addresses: [10.0.2.15/24]\n"; // no gateway, no resolver: nothing to wait for
    return s;
}

} // namespace souk::compute
