#include <souk/actors/policy/marks.hpp>

#include <souk/actors/policy/chain.hpp>

namespace souk::policy {

std::vector<trust_mark> marks_of(const std::string& by, const std::vector<stored_record>& records) {
    std::vector<trust_mark> marks;
    for (const auto& r : records) {
        if (r.uri.did != by || r.uri.collection != vouch::nsid || !is_did(r.uri.rkey)) continue;
        trust_mark m;
        m.by = by, m.about = r.uri.rkey, m.record = r.ref();
        if (const auto read = from_record<vouch>(r.value); !read) m.kind = unreadable, m.reason = read.error().text;
        else if (const auto kind = read->kind.value_or(vouched_for); kind != vouched_for && kind != denounced)
            m.kind = unreadable, m.reason = "kind: expected vouch or denounce";
        else m.kind = kind, m.reason = read->reason.value_or("");
        marks.push_back(std::move(m));
    }
    return marks;
}

} // namespace souk::policy
