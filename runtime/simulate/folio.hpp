// A party's books on a disk of their own: what was entered is kept a moment later, and lost if the node is killed before that.
#pragma once
#include <map>

#include <souk/backends/book/store.hpp>
#include <souk/runtime/simulate/universe.hpp>

namespace souk::simulate {

class folio {
public:
    explicit folio(universe& u) : u_(u) {}

    // As one process of the node has it: what it gives after its end, or was not kept by then, is not there.
    std::shared_ptr<book::store> opened_by(life);

    // What is kept.
    book::wide sum(book::account, const std::string& contract = "") const; // of one contract, or of all
    const book::details* find(book::kind, const std::string& contract) const;
    std::size_t entries() const { return entries_.size(); }
    std::vector<std::string> contracts() const;

private:
    class view;
    void keep(book::writing);
    bool is_of(const book::entry&, const std::string& contract) const;

    universe& u_;
    std::map<std::string, book::entry> entries_; // by id
    std::map<std::string, book::label> labels_;
    std::map<std::string, std::int64_t> marks_;
};

} // namespace souk::simulate
