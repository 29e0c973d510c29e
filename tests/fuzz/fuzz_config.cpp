#include <souk/runtime/config.hpp>

#include "fuzz.hpp"

FUZZ {
    const auto c = souk::parse_config(bytes, "node.toml");
    if (c) return;
    must(!c.error().code.empty() && !c.error().text.empty(), "a refusal says why");
    must(c.error().text.find("node.toml") != std::string::npos, "and where");
}
