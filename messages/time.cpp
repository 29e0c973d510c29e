#include <souk/messages/time.hpp>

#include <charconv>

#include <fmt/format.h>

namespace souk {

namespace {

constexpr std::size_t longest_datetime = 64;
constexpr std::string_view tid_alphabet = "234567abcdefghijklmnopqrstuvwxyz";
constexpr std::size_t tid_size = 13;
// The years 0000 to 9999: those that RFC 3339 can write.
constexpr instant first_instant = std::chrono::sys_days(std::chrono::year(0) / 1 / 1);
constexpr instant last_instant = instant(std::chrono::sys_days(std::chrono::year(10000) / 1 / 1)) - std::chrono::milliseconds(1);

// Reads RFC 3339 from the left.
class cursor {
public:
    explicit cursor(std::string_view text) : rest_(text) {}

    bool take(std::string_view any_of) {
        if (rest_.empty() || any_of.find(rest_[0]) == std::string_view::npos) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool number(int& out, std::size_t width) {
        if (rest_.size() < width) return false;
        for (char c : rest_.substr(0, width))
            if (c < '0' || c > '9') return false;
        std::from_chars(rest_.data(), rest_.data() + width, out);
        rest_.remove_prefix(width);
        return true;
    }
    // Fraction of a second, cut to milliseconds; at least one digit.
    bool fraction(int& out) {
        std::size_t n = 0;
        int scale = 100;
        out = 0;
        for (; n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9'; ++n, scale /= 10) out += (rest_[n] - '0') * scale;
        rest_.remove_prefix(n);
        return n > 0;
    }
    char peek() const { return rest_.empty() ? '\0' : rest_[0]; }
    bool done() const { return rest_.empty(); }

private:
    std::string_view rest_;
};

struct fields {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milli = 0, off_hour = 0, off_minute = 0, sign = 1;
};

bool read(std::string_view text, fields& f) {
    cursor c(text);
    if (!(c.number(f.year, 4) && c.take("-") && c.number(f.month, 2) && c.take("-") && c.number(f.day, 2) && c.take("Tt ")))
        return false;
    if (!(c.number(f.hour, 2) && c.take(":") && c.number(f.minute, 2) && c.take(":") && c.number(f.second, 2))) return false;
    if (c.take(".") && !c.fraction(f.milli)) return false;
    if (c.take("Zz")) return c.done();
    f.sign = c.peek() == '-' ? -1 : 1;
    return c.take("+-") && c.number(f.off_hour, 2) && c.take(":") && c.number(f.off_minute, 2) && c.done();
}

} // namespace

std::string to_datetime(instant at) {
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(at - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                       time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

result<instant> from_datetime(std::string_view text) {
    using namespace std::chrono;
    fields f;
    const refusal bad{"bad_datetime", "not a time like 2026-05-09T07:42:10.123Z"};
    if (text.size() > longest_datetime || !read(text, f)) return bad;
    const year_month_day date(year(f.year), month(static_cast<unsigned>(f.month)), day(static_cast<unsigned>(f.day)));
    // A leap second (:60) has no instant here; RFC 3339 allows refusing it.
    if (!date.ok() || f.hour > 23 || f.minute > 59 || f.second > 59 || f.off_hour > 23 || f.off_minute > 59) return bad;
    const auto offset = f.sign * (hours(f.off_hour) + minutes(f.off_minute));
    const auto at = instant(sys_days(date)) + hours(f.hour) + minutes(f.minute) + seconds(f.second) + milliseconds(f.milli) - offset;
    if (at < first_instant || at > last_instant) return bad; // it could not be written again
    return at;
}

std::string to_tid(std::uint64_t microseconds, unsigned clock_id) {
    std::uint64_t n = (microseconds & ((1ull << 53) - 1)) << 10 | (clock_id & 1023u);
    std::string out(tid_size, '2');
    for (auto c = out.rbegin(); c != out.rend(); ++c, n >>= 5) *c = tid_alphabet[n & 31];
    return out;
}

bool is_tid(std::string_view text) {
    // The top bit is always zero, so the first character is one of the first sixteen.
    return text.size() == tid_size && text.find_first_not_of(tid_alphabet) == std::string_view::npos &&
           tid_alphabet.find(text[0]) < 16;
}

} // namespace souk
