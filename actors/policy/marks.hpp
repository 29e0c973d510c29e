// Trust marks out of somebody's sh.tangled.graph.vouch records. The key of such a record is the DID that it is about.
#pragma once
#include <vector>

#include <souk/backends/records/repository.hpp>
#include <souk/messages/actors.hpp>

namespace souk::policy {

// A record whose key is no DID marks nobody and is left out; one whose text cannot be read marks its subject as `unreadable`. What its author
// wrote for people is cut at 300 bytes, and nothing in it moves a terminal's cursor.
std::vector<trust_mark> marks_of(const std::string& by, const std::vector<stored_record>&);

// Words of others as they are shown: one line, no control characters, at most so many bytes.
std::string in_one_line(std::string_view text, std::size_t most);

} // namespace souk::policy
