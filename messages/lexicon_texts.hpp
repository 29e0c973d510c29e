// The files of docs/lexicons; lexicon_texts.cpp is made of them when the tree is configured. Private to this room.
#pragma once
#include <span>
#include <string_view>

namespace souk::internal {

std::span<const std::string_view> lexicon_texts();

} // namespace souk::internal
