// A node's journal, and one file of its own, on a disk that outlives the node, and that fails as disks do.
#pragma once
#include <deque>

#include <souk/backends/store/journal.hpp>
#include <souk/backends/store/kept_file.hpp>
#include <souk/runtime/simulate/trap.hpp>
#include <souk/runtime/simulate/universe.hpp>

namespace souk::simulate {

class disk final : public journal {
public:
    // `lost`: the disk said that it does not know. The node has to be started again.
    disk(universe& u, std::string of, std::function<void()> lost) : u_(u), of_(std::move(of)), lost_(std::move(lost)) {}

    void mount(life by);
    void crash(); // of what was on its way, the first few are there, or none

    void append(append_request, done) override;
    void open_streams(std::string_view kind, const visitor&) override;
    history past(std::string_view kind, const std::string& key) override;
    std::vector<std::string> newest(std::string_view kind, std::size_t most) override;
    std::uint64_t ended(const std::vector<std::string_view>& kinds, std::uint64_t mark, std::size_t most, const visitor&) override;

    kept_file& file() { return file_; }

    simulate::trap& trap() { return trap_; }
    // Told after each write that left something.
    std::function<void()> changed;
    std::uint64_t facts() const { return facts_; }

private:
    struct stream {
        std::vector<fact> facts;
        std::uint64_t dropped = 0; // facts before those: what is left of them is the snapshot
        std::uint64_t snapshot_at = 0;
        std::string snapshot;
        bool closed = false;
        std::uint64_t made = 0, ended = 0;
    };
    struct job { // one or the other
        append_request what;
        done tell;
        std::string bytes;
        kept_file::done then; // of the file
        std::uint64_t number = 0;
    };
    class paper final : public kept_file {
    public:
        explicit paper(disk& on) : on_(on) {}
        std::string name() const override { return on_.of_ + "/file"; }
        std::optional<std::string> read(std::size_t) const override { return on_.kept_; }
        void replace(std::string bytes, done then) override { on_.take({{}, {}, std::move(bytes), std::move(then)}); }

    private:
        disk& on_;
    };
    void take(job);
    append_answer carry_out(job&);
    void sync();
    append_answer apply(append_request);
    static history of(const stream&);
    void compact();

    universe& u_;
    std::string of_;
    std::function<void()> lost_;
    life by_ = std::make_shared<bool>(false);
    bool sound_ = true, syncing_ = false;
    std::deque<job> waiting_;
    std::map<std::string, stream> streams_;
    std::uint64_t facts_ = 0, made_ = 0, ended_ = 0;
    instant full_until_{};
    std::optional<std::string> kept_; // in the file
    paper file_{*this};
    simulate::trap trap_;
};

} // namespace souk::simulate
