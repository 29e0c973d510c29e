// What the two algorithms of jwt.hpp share. Private to this room.
#pragma once
#include <souk/messages/jwt.hpp>

namespace souk::jwt {

std::string signing_input(value::map header, value::map claims);
result<parts> split_for(std::string_view token, std::string_view alg); // refuses a token whose header names another

} // namespace souk::jwt
