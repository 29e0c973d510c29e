// The parts of an order that every backend takes apart in the same way, with their limits.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <souk/backends/compute/backend.hpp>

namespace souk::compute {

result<void> check_leads(const std::vector<lead>&); // at most 32, each port once; code "bad_lead"
result<void> check_files(const std::vector<file>&); // at most 64 of at most 256 KiB; code "bad_file"

// "10.0.2.100 a.example b.example", or "" when nothing is named.
std::string hosts_line(const std::vector<lead>&);

struct certificate {
    std::string name; // under which OpenSSL looks for it: "5ed36f99.0"
    std::string pem;
};
result<std::vector<certificate>> certificates(const std::string& pem); // at most 16; code "bad_ca"

} // namespace souk::compute
