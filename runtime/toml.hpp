// Reads a TOML table key by key and remembers which were asked for, so that what is left is an error with a place.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include <souk/messages/result.hpp>

namespace souk {

class toml_table {
public:
    toml_table(const toml::table& t, std::string path, std::string file) : table_(&t), path_(std::move(path)), file_(std::move(file)) {}

    // Each throws `refused` with code "bad_config" when the key is there and is something else.
    void text(const char* key, std::string& into) { read<std::string>(key, "text", into); }
    void flag(const char* key, bool& into) { read<bool>(key, "true or false", into); }
    std::optional<std::int64_t> number(const char* key, std::int64_t least, std::int64_t most) {
        std::optional<std::int64_t> found;
        if (const auto* n = node(key)) {
            const auto v = n->value_exact<std::int64_t>();
            if (!v || *v < least || *v > most) fail(key, *n, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
            found = *v;
        }
        return found;
    }
    void texts(const char* key, std::vector<std::string>& into) {
        if (const auto* n = node(key)) {
            const auto* list = n->as_array();
            if (!list) fail(key, *n, "a list of texts");
            for (const auto& x : *list) {
                const auto v = x.value_exact<std::string>();
                if (!v) fail(key, x, "a list of texts");
                into.push_back(*v);
            }
        }
    }
    void text_map(const char* key, std::map<std::string, std::string>& into) {
        if (const auto* n = node(key)) {
            const auto* t = n->as_table();
            if (!t) fail(key, *n, "a table of texts");
            for (const auto& [k, x] : *t) {
                const auto v = x.value_exact<std::string>();
                if (!v) fail(key, x, "a table of texts");
                into.emplace(std::string(k.str()), *v);
            }
        }
    }
    // A table below this one; none when the key is absent.
    std::optional<toml_table> table(const char* key) {
        const auto* n = node(key);
        if (!n) return std::nullopt;
        const auto* t = n->as_table();
        if (!t) fail(key, *n, "a table");
        return toml_table(*t, path_.empty() ? key : path_ + '.' + key, file_);
    }
    std::vector<toml_table> tables(const char* key) {
        std::vector<toml_table> all;
        if (const auto* n = node(key)) {
            const auto* list = n->as_array();
            if (!list) fail(key, *n, "a list of tables");
            for (const auto& x : *list) {
                if (!x.is_table()) fail(key, x, "a list of tables");
                all.emplace_back(*x.as_table(), path_.empty() ? key : path_ + '.' + key, file_);
            }
        }
        return all;
    }
    // After the last key: what nobody asked for is a mistake.
    void done() const {
        for (const auto& [k, x] : *table_)
            if (!asked_.count(std::string(k.str()))) throw_at(x.source(), std::string(k.str()), "there is no such key; " + known());
    }
    [[noreturn]] void fail(const std::string& key, const std::string& expected) const { throw_at(table_->source(), key, expected); }

private:
    template <class T>
    void read(const char* key, const char* expected, T& into) {
        if (const auto* n = node(key)) {
            const auto v = n->value_exact<T>();
            if (!v) fail(key, *n, expected);
            into = *v;
        }
    }
    const toml::node* node(const char* key) {
        asked_.insert(key);
        return table_->get(key);
    }
    [[noreturn]] void fail(const std::string& key, const toml::node& n, const std::string& expected) const {
        throw_at(n.source(), key, "expected " + expected);
    }
    [[noreturn]] void throw_at(const toml::source_region& at, const std::string& key, const std::string& what) const {
        throw refused({"bad_config", file_ + ':' + std::to_string(at.begin.line) + ": " + (path_.empty() ? "" : path_ + '.') + key + ": " + what});
    }
    std::string known() const {
        std::string all = "known here:";
        for (const auto& k : asked_) all += ' ' + k;
        return all;
    }

    const toml::table* table_;
    std::string path_, file_;
    std::set<std::string> asked_;
};

} // namespace souk
