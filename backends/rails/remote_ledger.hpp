// The development ledger of another node, over its door. It is believed no further than play money needs.
#pragma once
#include <memory>

#include <souk/backends/http/client.hpp>
#include <souk/backends/rails/channel_rail.hpp>
#include <souk/backends/rails/escrow_rail.hpp>

namespace souk {

class remote_ledger : public payment_rail, public channel_rail, public escrow_rail {};

// `door`: https://host:port. The client must outlive it. `now`: withdrawals and orders are signed with their time.
std::unique_ptr<remote_ledger> make_remote_ledger(http::client&, std::string door, std::function<instant()> now);

} // namespace souk
