// Everyone's repositories and the network between them. A repository outlives its node; a stream of records breaks, goes back and lies.
#pragma once
#include <deque>
#include <set>

#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/runtime/simulate/crossings.hpp>
#include <souk/runtime/simulate/trap.hpp>
#include <souk/runtime/simulate/universe.hpp>

namespace souk::simulate {

class shelf final : public repository {
public:
    shelf(universe& u, std::string did, std::function<void()> lost) : u_(u), did_(std::move(did)), lost_(std::move(lost)) {}

    void mount(life by);
    void crash();
    // Told of each record once it is durable, whatever node runs.
    std::function<void(const stored_record&)> published;

    const std::string& did() const override { return did_; }
    result<stored_record> create(const std::string& collection, const std::string& rkey, const value& v) override { return now({record_write::kind::create, collection, rkey, v}); }
    result<stored_record> put(const std::string& collection, const std::string& rkey, const value& v) override { return now({record_write::kind::put, collection, rkey, v}); }
    result<void> remove(const std::string& collection, const std::string& rkey) override;
    void apply(std::vector<record_write>, written) override;
    std::optional<stored_record> get(const std::string& collection, const std::string& rkey) const override;
    std::vector<stored_record> list(const std::string& collection, std::size_t most, const std::string& cursor, bool oldest_first) const override;
    std::optional<stored_record> newest(const std::string& collection) const override;
    std::vector<std::string> collections() const override { return {}; }
    std::vector<stored_record> since(std::int64_t cursor, std::size_t most, std::size_t bytes = 0) const override;
    std::shared_ptr<void> listen(listener) override { return nullptr; } // streams are made by the books

    std::size_t count(const std::string& collection) const;
    simulate::trap& trap() { return trap_; }

private:
    result<stored_record> now(const record_write&);
    void write();

    universe& u_;
    std::string did_;
    std::function<void()> lost_;
    life by_ = std::make_shared<bool>(false);
    struct job {
        std::vector<record_write> all;
        written then;
        std::uint64_t number = 0;
    };
    std::deque<job> waiting_;
    std::map<std::string, std::map<std::string, stored_record>> all_; // by collection, by key
    std::map<std::int64_t, std::pair<std::string, std::string>> by_time_;
    std::int64_t last_us_ = 0;
    simulate::trap trap_;
};

struct person { // whose records and whose door there are
    std::string did, host; // of the door, "bob.example"
    did_document document;
    shelf* records = nullptr;
    std::function<void(http::request, http::responder)> door; // empty: it is down
    std::map<std::uint64_t, std::function<void()>> asking;    // who waits for an answer: how he hears that the connection broke
};

class books {
public:
    books(universe& u, crossings& ways) : u_(u), ways_(ways) {}
    ~books() { *open_ = false; }
    books(const books&) = delete;
    books& operator=(const books&) = delete;

    person& add(std::string name, did_document, shelf&);
    person* find(const std::string& did);
    person* at(const std::string& host);

    // Whom a handle leads to, from now on; "" is nobody.
    void call(const std::string& handle, const std::string& did) { called_[handle] = did; }
    std::string called(const std::string& handle) const {
        const auto found = called_.find(handle);
        return found == called_.end() ? std::string() : found->second;
    }

    // How one process sees the others. "" is nobody who could be cut off.
    std::unique_ptr<record_network> seen_by(std::string did, life);
    http::fetcher web_of(std::string did, life);

    // A stream of one author's records to one process. `cursor` is on the reader's disk.
    void watch(const std::string& author, std::set<std::string> collections, std::int64_t& cursor, life, std::function<void(const record_note&)>);

    // Told of every record that is published, as it is.
    std::function<void(const stored_record&)> overheard;

    // Its process is gone, and its connections with it.
    void hang_up(const std::string& did);

    // Nobody reaches `did`, and it reaches nobody but itself, until then.
    void cut_off(const std::string& did, instant until) { away_[did] = until; }
    bool reach(const std::string& a, const std::string& b) const;

private:
    class view;
    struct stream {
        std::string author;
        std::set<std::string> collections;
        std::int64_t* cursor;
        life by;
        std::function<void(const record_note&)> tell;
        std::uint64_t connection = 0; // 0: it is broken
        instant last{};               // when the last note on its way arrives: they keep their order
    };
    void publish(const std::string& author, const stored_record&);
    void send(const std::shared_ptr<stream>&, const stored_record&);
    void connect(const std::shared_ptr<stream>&);
    void lose(const std::shared_ptr<stream>&);

    universe& u_;
    crossings& ways_;
    std::map<std::string, person> people_; // by DID
    std::map<std::string, instant> away_;
    std::map<std::string, std::string> called_; // by handle
    std::vector<std::shared_ptr<stream>> streams_;
    std::uint64_t connections_ = 0, requests_ = 0;
    life open_ = std::make_shared<bool>(true); // an actor that is ended with the universe may still answer
};

} // namespace souk::simulate
