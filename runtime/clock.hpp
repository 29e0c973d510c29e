// The one place that reads the wall clock. Everyone below is handed it.
#pragma once
#include <functional>

#include <souk/messages/time.hpp>

namespace souk {

std::function<instant()> wall_clock();

} // namespace souk
