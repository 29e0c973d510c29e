#include <souk/actors/policy/marks.hpp>

#include <souk/actors/policy/graph.hpp>
#include <souk/messages/bytes.hpp>

namespace souk::policy {

namespace {

constexpr std::size_t longest_reason = 300;

// Empty where it can be read; else why it cannot.
std::string read_mark(const stored_record& r, trust_mark& m) {
    const auto read = from_record<vouch>(r.value);
    if (!read) return read.error().text;
    const auto kind = read->kind.value_or(vouched_for);
    if (kind != vouched_for && kind != denounced) return "kind: expected vouch or denounce";
    if (read->weight && (*read->weight < 1 || *read->weight > 100)) return "weight: expected 1 to 100 percent";
    if (read->expiresAt) {
        const auto end = from_datetime(*read->expiresAt);
        if (!end) return "expiresAt: " + end.error().text;
        m.expires = *end;
    }
    m.kind = kind, m.reason = in_one_line(read->reason.value_or(""), longest_reason), m.weight = read->weight.value_or(100);
    return {};
}

} // namespace

std::string in_one_line(std::string_view text, std::size_t most) {
    auto out = std::string(text.substr(0, most));
    out = to_utf8(out); // a letter may have been cut in two
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto c = static_cast<unsigned char>(out[i]);
        if (c < 0x20 || c == 0x7f) out[i] = ' ';
        else if (c == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0) out.replace(i, 2, " "); // C1: the same, in two bytes
        else if (c == 0xe2 && i + 2 < out.size()) { // what turns the direction of writing, or breaks a line
            const auto d = static_cast<unsigned char>(out[i + 1]), e = static_cast<unsigned char>(out[i + 2]);
            if ((d == 0x80 && (e == 0x8e || e == 0x8f || (e >= 0xa8 && e <= 0xae))) || (d == 0x81 && e >= 0xa6 && e <= 0xa9)) out.replace(i, 3, " ");
        }
    }
    return out;
}

std::vector<trust_mark> marks_of(const std::string& by, const std::vector<stored_record>& records) {
    std::vector<trust_mark> marks;
    for (const auto& r : records) {
        if (r.uri.did != by || r.uri.collection != vouch::nsid || !is_did(r.uri.rkey)) continue;
        trust_mark m;
        m.by = by, m.about = r.uri.rkey, m.record = r.ref();
        if (auto wrong = read_mark(r, m); !wrong.empty()) m.kind = unreadable, m.reason = in_one_line(wrong, longest_reason), m.expires.reset();
        marks.push_back(std::move(m));
    }
    return marks;
}

} // namespace souk::policy
