#include <souk/messages/ssh_key.hpp>

#include "fuzz.hpp"

FUZZ {
    const auto key = souk::ssh_key_line::parse(bytes);
    if (!key) return;
    const auto text = key->text();
    must(text.find('\n') == std::string::npos && text.starts_with(key->type + ' '), "a key is one line that begins with its type");
    const auto again = souk::ssh_key_line::parse(text);
    must(again && again->text() == text, "a key comes back");
}
