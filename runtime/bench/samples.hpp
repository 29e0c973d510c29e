// The records that the benchmarks are about: of real size, with the example's document as user_data.
#pragma once
#include <string>

#include <souk/messages/records.hpp>

namespace souk::bench {

std::string document(); // user_data of the example in deploy/examples
ccrfp sample_request();
ccb sample_bid(const strong_ref& rfp);

} // namespace souk::bench
