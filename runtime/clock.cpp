#include <souk/runtime/clock.hpp>

namespace souk {

std::function<instant()> wall_clock() {
    return [] { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); };
}

} // namespace souk
