// Refusals are values: a stable code for programs and a sentence for people. Exceptions are for bugs and start-up.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>

#include <boost/assert/source_location.hpp>
#include <boost/describe.hpp>
#include <boost/system/result.hpp>

namespace souk {

struct refusal {
    std::string code; // stable, lower_snake_case
    std::string text; // what, why and, where there is one, what next

    // Not an aggregate: C++20 would let one text construct a refusal, and then result<std::string> could not tell the two apart.
    refusal() = default;
    refusal(std::string c, std::string t) : code(std::move(c)), text(std::move(t)) {}
    bool operator==(const refusal&) const = default;
};
BOOST_DESCRIBE_STRUCT(refusal, (), (code, text))

// What `result::value()` throws when there is none: only code that has checked, or that means to give up, calls it.
struct refused : std::runtime_error {
    explicit refused(refusal r) : std::runtime_error(r.code + ": " + r.text), why(std::move(r)) {}
    refusal why;
};
[[noreturn]] inline void throw_exception_from_error(const refusal& r, const boost::source_location&) { throw refused(r); }

template <class T = void>
using result = boost::system::result<T, refusal>;

} // namespace souk
