// Internal. What reading and making operations share.
#pragma once
#include <souk/messages/value.hpp>

namespace souk::plc::internal {

constexpr std::size_t most_rotation_keys = 5;

value unsigned_part(const value& operation); // of a map: what is signed
// rotationKeys, verificationMethods, alsoKnownAs, services; of the legacy form, those that it stands for. Each is the list or map that it must be,
// what is in it is not looked at. Code "bad_plc_operation".
result<value::map> fields_of(const value& operation);

} // namespace souk::plc::internal
