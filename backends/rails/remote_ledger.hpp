// The development ledger of another node, over its door. It is believed no further than play money needs.
#pragma once
#include <memory>

#include <souk/backends/http/client.hpp>
#include <souk/backends/rails/rail.hpp>

namespace souk {

// `door`: https://host:port. The client must outlive it.
std::unique_ptr<payment_rail> make_remote_ledger(http::client&, std::string door);

} // namespace souk
