#include <souk/runtime/simulate/disk.hpp>

#include <algorithm>

#include <souk/messages/dag_cbor.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

void disk::mount(life by) {
    by_ = std::move(by);
    sound_ = true, syncing_ = false;
    compact();
}

// At each start, and of everything: whoever goes on from a snapshot has nothing else.
void disk::compact() {
    for (auto& [name, s] : streams_) {
        s.facts.erase(s.facts.begin(), s.facts.begin() + static_cast<std::ptrdiff_t>(s.snapshot_at - s.dropped));
        s.dropped = s.snapshot_at;
    }
}

void disk::crash() {
    const auto kept = u_.strikes(hazard::torn_write, 900) ? u_.chance().between(0, static_cast<std::int64_t>(waiting_.size())) : 0;
    for (std::int64_t i = 0; i < kept; ++i) carry_out(waiting_[static_cast<std::size_t>(i)]);
    waiting_.clear();
}

void disk::append(append_request what, done tell) { take({std::move(what), std::move(tell), {}, {}}); }

void disk::take(job j) {
    j.number = trap_.asked();
    if (const auto sprung = trap_.sprung(j.number, point::before)) return sprung();
    waiting_.push_back(std::move(j));
    if (syncing_) return;
    syncing_ = true;
    const auto usual = u_.chance().between(0ms, 3ms);
    u_.later(by_, u_.strikes(hazard::delay, 5) ? u_.chance().between(10ms, 4'000ms) : usual, [this] { sync(); });
}

// Everything that arrived while the disk was busy is made durable together.
void disk::sync() {
    syncing_ = false;
    auto batch = std::exchange(waiting_, {});
    if (u_.strikes(hazard::disk_full, 0.5)) full_until_ = u_.now() + u_.chance().between(1'000ms, 60'000ms);
    const bool full = u_.now() < full_until_, failed = u_.strikes(hazard::failed_sync, 1);
    if (sound_ && (full || failed)) {
        u_.tell(of_, full ? "the disk is full" : "the disk does not know what it kept");
        // What a transaction was: all of it is there, or nothing.
        if (!full && u_.chance().one_in(2))
            for (auto& j : batch) carry_out(j);
        // A journal that does not know ends its node; whoever asked for the file to be written hears that it was not.
        sound_ = std::none_of(batch.begin(), batch.end(), [](const job& j) { return static_cast<bool>(j.tell); });
        if (!sound_) u_.later(u_.chance().between(0ms, 200ms), lost_);
    } else if (sound_) {
        const auto by = by_;
        for (auto& j : batch) {
            auto answer = carry_out(j);
            if (const auto sprung = trap_.sprung(j.number, point::durable)) sprung();
            if (!*by) continue; // killed in the middle of telling
            if (j.then) j.then({});
            else j.tell(std::move(answer));
            if (const auto sprung = trap_.sprung(j.number, point::heard)) u_.later(milliseconds{0}, sprung);
        }
        return;
    }
    for (auto& j : batch) {
        if (j.then) j.then(refusal{"not_kept", "the disk does not know"});
        else j.tell({stored::unknown, {}});
    }
}

append_answer disk::carry_out(job& j) {
    if (!j.then) return apply(std::move(j.what));
    kept_ = std::move(j.bytes);
    return {stored::yes, {}};
}

append_answer disk::apply(append_request what) {
    auto& s = streams_[what.stream];
    if (s.dropped + s.facts.size() != what.expected) return {stored::conflict, of(s)};
    if (s.made == 0) s.made = ++made_;
    facts_ += what.events.size();
    if (u_.is_told())
        for (const auto& e : what.events) {
            const auto fact = decode_dag_cbor(e);
            u_.tell(of_, what.stream + " " + (fact ? std::string(fact->text("is")) : "?"));
        }
    for (auto& e : what.events) s.facts.push_back({what.at, std::move(e)});
    if (what.snapshot) s.snapshot_at = s.dropped + s.facts.size(), s.snapshot = std::move(*what.snapshot);
    if (what.closes && !s.closed) s.ended = ++ended_;
    s.closed = what.closes;
    if (s.dropped + s.facts.size() == 0) streams_.erase(what.stream);
    if (changed && !what.events.empty()) u_.later(milliseconds{0}, changed);
    return {stored::yes, {}};
}

history disk::of(const stream& s) {
    history h{s.snapshot_at, {}, s.snapshot, {}};
    h.facts.assign(s.facts.begin() + static_cast<std::ptrdiff_t>(s.snapshot_at - s.dropped), s.facts.end());
    return h;
}

void disk::open_streams(std::string_view kind, const visitor& visit) {
    const auto head = std::string(kind) + '/';
    for (auto at = streams_.lower_bound(head); at != streams_.end() && at->first.starts_with(head); ++at)
        if (!at->second.closed) visit(at->first.substr(head.size()), of(at->second));
}

history disk::past(std::string_view kind, const std::string& key) {
    const auto found = streams_.find(std::string(kind) + '/' + key);
    if (found == streams_.end()) return {};
    if (found->second.dropped > 0) return of(found->second);
    history h;
    h.facts = found->second.facts;
    return h;
}

std::vector<std::string> disk::newest(std::string_view kind, std::size_t most) {
    const auto head = std::string(kind) + '/';
    std::vector<std::pair<std::uint64_t, std::string>> found;
    for (auto at = streams_.lower_bound(head); at != streams_.end() && at->first.starts_with(head); ++at) found.emplace_back(at->second.made, at->first.substr(head.size()));
    std::sort(found.rbegin(), found.rend());
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < std::min(most, found.size()); ++i) keys.push_back(std::move(found[i].second));
    return keys;
}

std::uint64_t disk::ended(const std::vector<std::string_view>& kinds, std::uint64_t mark, std::size_t most, const visitor& visit) {
    std::map<std::uint64_t, std::string> found;
    for (const auto& [name, s] : streams_)
        if (s.closed && s.ended > mark) found.emplace(s.ended, name);
    for (const auto& [end, name] : found) {
        if (most-- == 0) break;
        const auto slash = name.find('/');
        const auto kind = std::string_view(name).substr(0, slash);
        if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) visit(name, past(kind, name.substr(slash + 1)));
        mark = end;
    }
    return mark;
}

} // namespace souk::simulate
