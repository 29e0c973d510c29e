// souk console: the commands of this program, one a line, against one node. Each line runs as a process of its own, so that a command
// that hangs or fails takes nothing with it.
#include <editline/readline.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include <souk/runtime/cli/commands.hpp>

namespace souk::cli {

namespace {

std::vector<std::string> names; // of commands, for completion

char* next_name(const char* begun, int state) {
    static std::size_t at;
    if (state == 0) at = 0;
    for (; at < names.size(); ++at)
        if (names[at].rfind(begun, 0) == 0) return ::strdup(names[at++].c_str());
    return nullptr;
}
char** complete(const char* begun, int start, int) {
    rl_attempted_completion_over = 1; // never file names
    return start == 0 ? rl_completion_matches(begun, next_name) : nullptr;
}

// Words, with '...' and "..." kept together. No shell is involved.
std::vector<std::string> words(const std::string& line) {
    std::vector<std::string> all;
    std::string word;
    char quote = 0;
    bool open = false;
    for (const char c : line) {
        if (quote) {
            if (c == quote) quote = 0;
            else word += c;
        } else if (c == '\'' || c == '"') {
            quote = c, open = true;
        } else if (c == ' ' || c == '\t') {
            if (open || !word.empty()) all.push_back(std::move(word));
            word.clear(), open = false;
        } else {
            word += c;
        }
    }
    if (open || !word.empty()) all.push_back(std::move(word));
    return all;
}

int run_line(const context& c, std::vector<std::string> argv) {
    argv.insert(argv.begin(), {c.program.string(), "--node", c.node.string(), "--table"});
    const auto child = ::fork();
    if (child == 0) {
        std::vector<char*> raw;
        for (auto& a : argv) raw.push_back(a.data());
        raw.push_back(nullptr);
        ::execv(raw[0], raw.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : refused_status;
}

void converse(context& c) {
    const auto who = c.ask().get("/v1/identity");
    if (!who) return c.fail(who.error());
    const auto prompt = std::string(who->text("name")) + "> ";
    rl_initialize();
    rl_attempted_completion_function = complete;
    const bool person = ::isatty(STDIN_FILENO);
    if (person) fmt::print("{} at {}. Commands as of souk --help; end with Ctrl-D.\n", who->text("name"), c.node.string());
    std::fflush(stdout);
    for (;;) {
        char* raw = ::readline(person ? prompt.c_str() : "");
        if (!raw) break;
        const std::string line = raw;
        std::free(raw);
        auto argv = words(line);
        if (argv.empty() || argv.front().front() == '#') continue;
        if (argv.front() == "exit" || argv.front() == "quit") break;
        if (person) ::add_history(line.c_str());
        if (argv.front() == "help") argv.front() = "--help";
        c.status = run_line(c, std::move(argv));
        if (!person && c.status != ok) return; // a script stops at the first line that fails
    }
    if (person) fmt::print("\n");
}

} // namespace

void add_console(CLI::App& app, context& c) {
    static std::filesystem::path node;
    auto* s = app.add_subcommand("console", "the commands below, one a line, against one node");
    s->add_option("directory", node, "of the node (default: --node)");
    s->callback([&c, &app] {
        if (!node.empty()) c.node = node;
        for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
        converse(c);
    });
}

} // namespace souk::cli
