// What the demo prints: numbered steps with their times, details below them, and the verdict.
#pragma once
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace souk::demo {

class story {
public:
    using clock = std::chrono::steady_clock;

    void step(const std::string& title) {
        finish();
        title_ = title, from_ = clock::now();
        fmt::print("\n{:2}. {}\n", ++number_, title);
        std::fflush(stdout);
    }
    void tell(const std::string& text) const {
        const auto lines = wrapped(text);
        fmt::print("    {:5.1f} s  {}\n", seconds(clock::now() - begun_), lines.front());
        for (std::size_t i = 1; i < lines.size(); ++i) fmt::print("             {}\n", lines[i]);
        std::fflush(stdout);
    }
    void more(const std::string& text) const {
        for (const auto& line : wrapped(text)) fmt::print("             {}\n", line);
        std::fflush(stdout);
    }
    // Ends the step under way; its time goes into the summary.
    void finish() {
        if (title_.empty()) return;
        times_.emplace_back(title_, seconds(clock::now() - from_));
        title_.clear();
    }
    const std::vector<std::pair<std::string, double>>& times() const { return times_; }
    const std::string& title() const { return title_; }
    double so_far() const { return seconds(clock::now() - begun_); }

private:
    static constexpr std::size_t width = 66; // with the time before it, 80 columns

    // At spaces; a word that is longer than a line (an at-uri) at the slash that fits, so that it can be put together again.
    static std::vector<std::string> wrapped(std::string text) {
        std::vector<std::string> lines;
        while (text.size() > width) {
            auto cut = text.rfind(' ', width);
            if (cut == std::string::npos || cut < width / 3) cut = text.rfind('/', width - 1);
            if (cut == std::string::npos || cut == 0) cut = width;
            else if (text[cut] == '/') ++cut;
            lines.push_back(text.substr(0, cut));
            text.erase(0, cut + (cut < text.size() && text[cut] == ' '));
        }
        lines.push_back(std::move(text));
        return lines;
    }
    static double seconds(clock::duration d) { return std::chrono::duration<double>(d).count(); }
    clock::time_point begun_ = clock::now(), from_;
    std::string title_;
    int number_ = 0;
    std::vector<std::pair<std::string, double>> times_;
};

} // namespace souk::demo
