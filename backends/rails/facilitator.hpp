// A chain that somebody else's x402 facilitator brings payments to. It is asked to settle and believed in nothing: whether it did, the chain says.
#pragma once
#include <memory>
#include <mutex>

#include <souk/backends/http/client.hpp>
#include <souk/backends/rails/rail.hpp>

namespace souk {

struct facilitator_options {
    std::string url;                                          // https://host[/path], no slash at the end
    std::vector<std::pair<std::string, std::string>> headers; // its key for us: sent to this origin alone, never logged
    std::chrono::milliseconds within{90'000};
    std::function<instant()> now;
};

// `chain` reads the network that is settled on, and must outlive it, as what `web` leads to must. Redirections (307, 308) are followed, three at most, never from
// https to http; "429" is heeded: until it has passed nothing is asked, and the answer is "unknown".
std::unique_ptr<payment_rail> make_facilitator_rail(http::fetcher web, facilitator_options, payment_rail& chain);

} // namespace souk
