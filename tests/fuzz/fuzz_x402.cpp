#include <souk/messages/x402.hpp>

#include "fuzz.hpp"

using namespace souk;
using namespace souk::x402;

namespace {

const instant now{std::chrono::seconds(1'800'000'000)};

requirements offered() {
    return {"exact",
            "eip155:84532",
            "10000",
            "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
            300,
            value(value::map{{"name", "USDC"}, {"version", "2"}})};
}

template <class T>
std::optional<T> read(std::string_view header) {
    auto x = from_header<T>(header);
    if (!x) return {};
    must(to_header(from_header<T>(to_header(*x)).value()) == to_header(*x), "a header comes back");
    return std::move(*x);
}

void judge(const payment& p, const requirements& r) {
    const auto payer = check_exact(p, r, now);
    if (!payer) return must(!payer.error().code.empty(), "a refusal has a code");
    must(crypto::same_address(*payer, p.payload.authorization.from) && p.payload.authorization.value == r.amount,
         "what passes pays, by the payer");
}

void headers(std::string_view header) {
    if (const auto p = read<payment>(header)) {
        judge(*p, offered());
        judge(*p, p->accepted);
        (void)matches(p->accepted, offered());
    }
    if (const auto r = read<payment_required>(header)) (void)to_json(v1_body(*r));
    (void)read<settlement>(header);
    if (const auto p = from_v1_header(header, offered())) judge(*p, offered());
}

} // namespace

FUZZ {
    headers(bytes);
    if (bytes.size() < largest_header / 2) headers(to_base64(bytes)); // the same, past the outer shell
}
