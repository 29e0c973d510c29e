#include <souk/runtime/simulate/folio.hpp>

#include <set>

namespace souk::simulate {

namespace {
constexpr milliseconds kept_after{50};
}

class folio::view final : public book::store {
public:
    view(folio& of, life by) : of_(of), by_(std::move(by)) {}
    void write(book::writing w, bool) override {
        of_.u_.later(by_, kept_after, [&of = of_, w = std::move(w)] { of.keep(w); });
    }
    std::int64_t mark(const std::string& name) const override {
        const auto found = of_.marks_.find(name);
        return found == of_.marks_.end() ? 0 : found->second;
    }
    void read(book::query, std::function<void(result<book::page>)> tell) override { tell(refusal{"books_unreadable", "nobody asks here"}); }

private:
    folio& of_;
    life by_;
};

std::shared_ptr<book::store> folio::opened_by(life by) { return std::make_shared<view>(*this, std::move(by)); }

void folio::keep(book::writing w) {
    for (auto& e : w.entries) entries_.emplace(e.id(), std::move(e));
    for (auto& l : w.labels) labels_[l.subject] = std::move(l);
    for (auto& [name, value] : w.marks) marks_[name] = value;
}

bool folio::is_of(const book::entry& e, const std::string& contract) const { return contract.empty() || e.what().contract == contract; }

book::wide folio::sum(book::account in, const std::string& contract) const {
    book::wide all = 0;
    for (const auto& [id, e] : entries_)
        if (is_of(e, contract))
            for (const auto& p : e.postings())
                if (p.in == in) all += p.value;
    return all;
}

const book::details* folio::find(book::kind what, const std::string& contract) const {
    for (const auto& [id, e] : entries_)
        if (e.what().what == what && is_of(e, contract)) return &e.what();
    return nullptr;
}

std::vector<std::string> folio::contracts() const {
    std::set<std::string> all;
    for (const auto& [id, e] : entries_) all.insert(e.what().contract);
    return {all.begin(), all.end()};
}

} // namespace souk::simulate
