// Keeps a node's books: enters what its entities' facts come to, soon after them and without anything waiting for it. What a crash came between is
// entered at the next start: what lives is folded again when it is loaded, what has ended is read out of the journal from where the books are to.
#pragma once
#include <map>
#include <mutex>

#include <souk/actors/book/fold.hpp>
#include <souk/backends/book/store.hpp>
#include <souk/backends/rails/rail.hpp>

namespace souk {

struct bookkeeper_options {
    std::function<instant()> now;
    std::string wallet; // address; "": none
    std::string asset;  // what it pays in, CAIP-19; "": nothing
    std::function<void(const std::string&)> trouble; // what could not be entered; may be empty
};

// From any thread. The journal must outlive it.
class bookkeeper : public std::enable_shared_from_this<bookkeeper> {
public:
    bookkeeper(bookkeeper_options, std::shared_ptr<book::store>, journal&);

    // The hooks of the entities: `events` are empty when it was just loaded, and then the caller may have to wait.
    void changed(const std::string& key, const payment::state&, const std::vector<payment::event>& events);
    void changed(const std::string& key, const purchase::state&, const std::vector<purchase::event>& events);
    void changed(const std::string& key, const lease::state&, const std::vector<lease::event>& events);
    void changed(const std::string& key, const lane::state&, const std::vector<lane::event>& events);

    // Enters what has ended since the books were last brought up, of at most so many; whether there may be more. To be called now and then.
    bool catch_up(std::size_t most = 64);

    // A payment at somebody's door, before it is signed: `then` when that is durable, or with the reason why not.
    void promise(const book::spending&, std::function<void(result<void>)> then);
    void moved(const book::spending&, const std::string& transaction, std::optional<amount> much = {}); // all that was promised, or less
    // Asks the rail what became of such payments that nobody said anything of, and once what was in the wallet before these books.
    void ask(payment_rail&);
    void close(); // after it the rail is asked nothing more, and what was entered before is kept
    bool has_opened() const;

    void read(book::query q, std::function<void(result<book::page>)> tell) { store_->read(std::move(q), std::move(tell)); }
    const bookkeeper_options& options() const { return options_; }

private:
    struct followed { // a lane, as far as it is entered
        lane::state at;
        std::int64_t facts = 0;
    };
    void enter(book::folded, bool may_wait, std::vector<std::pair<std::string, std::int64_t>> marks = {});
    void follow_lanes();
    void open_with(payment_rail&, const book::page&);
    void look_after(payment_rail&, const book::outstanding&);

    const bookkeeper_options options_;
    const std::shared_ptr<book::store> store_;
    journal& log_;
    mutable std::mutex guard_; // over the rest
    std::map<std::string, followed> lanes_;
    std::uint64_t ended_ = 0;
    bool asking_ = false, opened_ = false, closed_ = false;
};

} // namespace souk
