#pragma once
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <souk/messages/json.hpp>

inline std::string file(const std::string& name) {
    std::ifstream in(std::string(SOUK_TEST_DATA) + '/' + name, std::ios::binary);
    if (!in) throw std::runtime_error("no test data " + name);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

inline souk::value json_file(const std::string& name, souk::json_form form = souk::json_form::atproto) {
    return souk::from_json(file(name), form).value();
}
