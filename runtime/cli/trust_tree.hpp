// Who vouches for whom on the way from this node's account to somebody, for people.
#pragma once
#include <string>

#include <souk/messages/value.hpp>

namespace souk::cli {

// Of a trust_view about him.
std::string trust_tree(const value& view, const std::string& did);
// "denounce, 80%, until 2026-12-01": what a mark says besides about whom.
std::string mark_terms(const value& mark);

} // namespace souk::cli
