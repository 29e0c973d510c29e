#include <souk/runtime/cli/trust_tree.hpp>

#include <map>
#include <set>
#include <vector>

#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/view.hpp>

namespace souk::cli {

namespace {

struct tree {
    const std::string& target;
    std::map<std::string, std::vector<const value*>> by;
    std::set<std::string> drawn;
    std::set<const value*> told;
    std::string out;

    static std::string said(const value& m) {
        const auto kind = text_of(m, "kind");
        const auto words = kind == "vouch" ? "vouches for " : kind == "denounce" ? "DENOUNCES " : "has a record that cannot be read about ";
        const auto terms = mark_terms(m), why = text_of(m, "reason");
        return words + text_of(m, "about") + (terms.empty() ? "" : ", " + terms) + (why.empty() ? "" : ": " + why);
    }
    void line(std::size_t deep, const std::string& text) { out += std::string(2 * deep, ' ') + wrapped(text, 2 * deep + 2) + '\n'; }
    void records(std::size_t deep, const value& m) {
        const auto* r = m.find("record");
        if (r) line(deep, text_of(*r, "uri")), line(deep, text_of(*r, "cid"));
    }
    void below(const std::string& who, std::size_t deep) {
        drawn.insert(who);
        for (const auto* m : by[who]) {
            const auto about = text_of(*m, "about");
            const bool leads_on = about != target && text_of(*m, "kind") == "vouch";
            if (about != target && !leads_on) continue;
            told.insert(m);
            line(deep, said(*m) + (leads_on && drawn.count(about) ? " (above)" : ""));
            records(deep + 1, *m);
            if (leads_on && !drawn.count(about) && deep < 10) below(about, deep + 1);
        }
    }
};

} // namespace

std::string mark_terms(const value& m) {
    std::string out;
    const auto also = [&](const std::string& x) { out += (out.empty() ? "" : ", ") + x; };
    if (text_of(m, "kind") == "vouch" && text_of(m, "weight") != "100" && !text_of(m, "weight").empty()) also(text_of(m, "weight") + '%');
    if (const auto until = when(m, "expires"); until != "-") also("until " + until);
    return out;
}

std::string trust_tree(const value& view, const std::string& did) {
    tree t{did, {}, {}, {}, {}};
    for (const auto& m : list_of(view, "marks")) t.by[text_of(m, "by")].push_back(&m);
    const auto self = text_of(view, "self");
    t.line(0, self + " (this node's account)");
    t.below(self, 1);
    if (t.told.empty()) t.line(1, "no way leads to " + did + ", and no word of it");
    const auto rest = [&](const char* title, auto which) {
        bool first = true;
        for (const auto& m : list_of(view, "marks")) {
            if (t.told.count(&m) || !which(m)) continue;
            if (std::exchange(first, false)) t.out += '\n' + std::string(title) + '\n';
            t.line(1, text_of(m, "by") + ' ' + tree::said(m)), t.records(2, m);
        }
    };
    rest("of him, by others that were read", [&](const value& m) { return text_of(m, "about") == did; });
    rest("by him", [&](const value& m) { return text_of(m, "by") == did; });
    bool first = true;
    for (const auto& u : list_of(view, "unread")) {
        if (std::exchange(first, false)) t.out += "\nnot read\n";
        t.line(1, text_of(u, "did") + ": " + text_of(u, "why"));
    }
    return t.out;
}

} // namespace souk::cli
