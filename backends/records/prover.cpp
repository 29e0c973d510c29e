#include <souk/backends/records/prover.hpp>

#include <algorithm>

#include <souk/backends/records/repo_import.hpp>
#include <souk/messages/time.hpp>

namespace souk::internal {

namespace {

constexpr std::size_t largest_proof = 4 << 20;       // a record, and the nodes on its way
constexpr std::size_t most_kept = 1'000;             // of a collection, as record_network::list gives
constexpr std::size_t most_kept_bytes = 16 << 20;
constexpr std::chrono::seconds proof_within{15}, export_within{600};

refusal unreachable(const refusal& r) { return {"record_unreachable", r.code + ": " + r.text}; }
refusal unproven(const std::string& what, const refusal& r) { return {"record_not_proven", what + ": " + r.code + ": " + r.text}; }

std::vector<crypto::verifier> verifiers(const did_document& d) {
    std::vector<crypto::verifier> all;
    for (const auto& key : d.signing)
        if (auto v = crypto::verifier::of(key)) all.push_back(std::move(*v));
    return all;
}

} // namespace

struct prover::job {
    did_document author;
    std::string collection;
    std::vector<stored_record> listed;
    list_teller tell;

    std::vector<crypto::verifier> keys;
    std::vector<std::size_t> open; // of those listed, that are to be proven
    std::size_t next = 0, under_way = 0;
    unsigned tries = 0; // an answer to an earlier one says nothing
    bool exporting = false, over = false;
    std::unique_ptr<repo_import> import;
};

prover::prover(identity_resolver& who, http::client& client, std::filesystem::path directory, std::function<instant()> now)
    : who_(who), client_(client), directory_(std::move(directory)), now_(std::move(now)) {
    worker_ = std::thread([this] { work(); });
}

void prover::close() {
    {
        const std::lock_guard hold(guard_);
        closed_ = true;
        waiting_.clear();
    }
    {
        const std::lock_guard hold(queue_guard_);
        stopped_ = true;
        queue_.clear();
    }
    filled_.notify_all();
    if (worker_.joinable()) worker_.join();
}

void prover::prove(const did_document& author, const std::string& collection, std::vector<stored_record> listed, list_teller tell) {
    auto j = std::make_shared<job>();
    j->author = author, j->collection = collection, j->listed = std::move(listed), j->tell = std::move(tell);
    const std::lock_guard hold(guard_);
    if (closed_) return;
    for (std::size_t i = 0; i < j->listed.size(); ++i)
        if (!known(j->listed[i])) j->open.push_back(i);
    begin(j);
}

void prover::begin(const std::shared_ptr<job>& j) {
    j->keys = verifiers(j->author), j->next = j->under_way = 0, ++j->tries;
    if (j->open.empty()) return end(j, std::move(j->listed));
    if (j->open.size() > most_single) return read_all(j);
    next_single(j);
}

void prover::end(const std::shared_ptr<job>& j, result<std::vector<stored_record>> said) {
    if (std::exchange(j->over, true)) return;
    j->import.reset();
    give_back(*j);
    j->tell(std::move(said));
}

void prover::give_back(job& j) {
    if (!std::exchange(j.exporting, false)) return;
    --exports_;
    if (waiting_.empty()) return;
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    read_all(next);
}

// The document may be of before the account had another key: it is looked at once more.
bool prover::once_more(const std::shared_ptr<job>& j, const refusal& why) {
    if (j->tries > 1 || (why.code != "bad_signature" && why.code != "no_keys")) return false;
    ++j->tries;
    give_back(*j);
    who_.forget(j->author.did);
    who_.resolve(j->author.did, [self = shared_from_this(), j](result<did_document> author) {
        const std::lock_guard hold(self->guard_);
        if (self->closed_) return;
        if (!author) return self->end(j, author.error());
        j->author = std::move(*author);
        self->begin(j);
    });
    return true;
}

bool prover::known(const stored_record& r) {
    const auto at = known_.find(r.uri.text());
    if (at == known_.end() || at->second.first != r.cid.text()) return false;
    const auto age = now_() - at->second.second;
    return age >= age.zero() && age < holds;
}
void prover::note(const stored_record& r) {
    if (known_.size() >= most_known) known_.clear(); // by an hour's end they would be proven again
    known_.insert_or_assign(r.uri.text(), std::pair(r.cid.text(), now_()));
}

// -- a proof each ---------------------------------------------------------------------------------------------------------------

void prover::next_single(const std::shared_ptr<job>& j) {
    while (j->under_way < at_once && j->next < j->open.size()) {
        const auto at = j->open[j->next++];
        const auto& r = j->listed[at];
        http::call c;
        c.url = j->author.pds + "/xrpc/com.atproto.sync.getRecord?did=" + http::percent_encode(r.uri.did) + "&collection=" + http::percent_encode(r.uri.collection) +
                "&rkey=" + http::percent_encode(r.uri.rkey);
        c.within = proof_within, c.largest_answer = largest_proof;
        ++j->under_way;
        client_.fetch(std::move(c), [self = shared_from_this(), j, at, tries = j->tries](result<http::response> said) {
            const std::lock_guard hold(self->guard_);
            if (!self->closed_ && !j->over && tries == j->tries) self->heard_single(j, at, said);
        });
    }
}

void prover::heard_single(const std::shared_ptr<job>& j, std::size_t at, const result<http::response>& said) {
    --j->under_way;
    if (!said) return end(j, unreachable(said.error()));
    if (said->status != 200) return end(j, refusal{"record_unreachable", "its host gives no proof: it answered " + std::to_string(said->status)});
    const auto& r = j->listed[at];
    const auto proven = verify_record(said->body, r.uri.did, j->keys, r.uri.collection + '/' + r.uri.rkey);
    if (!proven) {
        if (!once_more(j, proven.error())) end(j, unproven(r.uri.text(), proven.error()));
        return;
    }
    if (proven->id != r.cid) return end(j, unproven(r.uri.text(), {"cid_mismatch", proven->id.empty() ? "the repository has nothing there" : "the repository has another there"}));
    note(r);
    if (j->next == j->open.size() && j->under_way == 0) return end(j, std::move(j->listed));
    next_single(j);
}

// -- the whole repository -------------------------------------------------------------------------------------------------------

void prover::read_all(const std::shared_ptr<job>& j) {
    if (exports_ >= most_exports) {
        if (waiting_.size() >= most_waiting) return end(j, refusal{"not_now", "other repositories are being read; try again later"});
        return waiting_.push_back(j);
    }
    try {
        j->import = std::make_unique<repo_import>(directory_);
    } catch (const std::runtime_error& e) {
        return end(j, refusal{"disk_error", e.what()});
    }
    ++exports_, j->exporting = true;
    http::call c;
    c.url = j->author.pds + "/xrpc/com.atproto.sync.getRepo?did=" + http::percent_encode(j->author.did);
    c.within = export_within, c.largest_answer = import_limits().car.bytes;
    c.take = [import = j->import.get(), j](std::string_view piece) { return import->feed(piece); };
    client_.fetch(std::move(c), [self = shared_from_this(), j](const result<http::response>& said) {
        const std::lock_guard hold(self->guard_);
        if (self->closed_ || j->over) return;
        const bool broken_off = !said && said.error().code.starts_with("http_");
        if (broken_off) return self->end(j, unreachable(said.error()));
        if (!said) return self->end(j, said.error().code == "disk_error" ? said.error() : unproven("the repository of " + j->author.did, said.error()));
        if (said->status != 200) return self->end(j, refusal{"record_unreachable", "its host does not export: it answered " + std::to_string(said->status)});
        const std::lock_guard more(self->queue_guard_);
        self->queue_.push_back(j);
        self->filled_.notify_one();
    });
}

void prover::work() {
    for (;;) {
        std::shared_ptr<job> j;
        {
            std::unique_lock hold(queue_guard_);
            filled_.wait(hold, [this] { return stopped_ || !queue_.empty(); });
            if (stopped_) return;
            j = std::move(queue_.front());
            queue_.pop_front();
        }
        verify_all(j);
    }
}

void prover::verify_all(const std::shared_ptr<job>& j) {
    std::deque<stored_record> found;
    std::size_t bytes = 0, calls = 0;
    const auto prefix = j->collection + '/';
    const auto said = j->import->finish(j->author.did, j->keys, [&](std::string_view path, const cid& id, std::string_view block, value& what) -> result<void> {
        if (++calls % 1024 == 0) {
            const std::lock_guard hold(queue_guard_);
            if (stopped_) return refusal{"client_closed", "this node is stopping"};
        }
        if (!path.starts_with(prefix)) return {};
        if ((bytes += block.size()) > most_kept_bytes) return refusal{"record_list_too_large", "more bytes in " + j->collection + " than are taken"};
        found.push_front({{j->author.did, j->collection, std::string(path.substr(prefix.size()))}, id, std::move(what), 0, false, false});
        if (found.size() > most_kept) found.pop_back();
        return {};
    });
    const std::lock_guard hold(guard_);
    if (closed_) return;
    if (!said) {
        if (once_more(j, said.error())) return;
        const bool own = said.error().code == "disk_error" || said.error().code == "record_list_too_large";
        return end(j, own ? said.error() : unproven("the repository of " + j->author.did, said.error()));
    }
    for (const auto& r : found) note(r);
    end(j, std::vector<stored_record>(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end())));
}

} // namespace souk::internal
