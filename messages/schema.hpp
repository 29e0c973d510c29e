// The small, closed part of JSON Schema (draft-07) that permissions are written in. Private to this room.
#pragma once
#include <souk/messages/value.hpp>

namespace souk {

// Code "schema"; the text begins with the path of what failed. A keyword that is not known, anywhere in the schema, refuses
// whatever it would have said.
result<void> check_schema(const value& schema, const value& instance);

} // namespace souk
