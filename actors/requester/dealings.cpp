#include <souk/actors/requester/dealings.hpp>

#include <souk/actors/entity/engine.hpp>

namespace souk {

dealings past_dealings::with(const std::string& did) {
    const std::lock_guard hold(guard_);
    if (!std::exchange(read_, true)) {
        auto keys = log_.newest(purchase::kind, most_read);
        for (auto key = keys.rbegin(); key != keys.rend(); ++key) count(*key, state_of<purchase>(log_.past(purchase::kind, *key)));
    }
    const auto found = by_.find(did);
    return found == by_.end() ? dealings{} : found->second;
}

void past_dealings::note(const std::string& key, const purchase::state& s) {
    const std::lock_guard hold(guard_);
    if (read_) count(key, s); // else it is in the journal, and read from there
}

// Delivered is what came with a receipt whose seal opened. Broken is what was paid (by his own word, or that of his paid URL), never delivered,
// and not given back.
void past_dealings::count(const std::string& key, const purchase::state& s) {
    const auto* seller = purchase::winner(s);
    if (s.at != purchase::phase::closed || !seller || !counted_.insert(key).second) return;
    const auto took = s.transaction.empty() ? s.paid : s.authorised;
    const bool delivered = s.started != instant{}, kept_money = took > s.refunded;
    if (!delivered && !kept_money) return;
    auto& d = by_[seller->bidder];
    ++(delivered ? d.honoured : d.broken);
    d.evidence.insert(d.evidence.begin(), delivered ? s.receipt : s.accept);
    if (d.evidence.size() > most_evidence) d.evidence.pop_back();
}

} // namespace souk
