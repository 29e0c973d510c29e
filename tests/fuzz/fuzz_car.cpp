#include <souk/messages/car.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

struct outcome {
    std::string again; // what was read, written
    std::string code;
    bool operator==(const outcome&) const = default;
};

outcome read(std::string_view bytes, std::size_t piece) {
    outcome o;
    std::string blocks;
    car_reader reader(
        [&](const cid& c, std::string_view b) -> result<void> {
            must(c == cid::of_dag_cbor(b) || c == cid::of_raw(b), "a block has its CID");
            return append_car_block(blocks, c, b), result<void>();
        },
        {.header = 256, .block = 2048, .blocks = 64, .bytes = 8192});
    for (std::size_t at = 0; at < bytes.size() && o.code.empty(); at += piece)
        if (const auto fed = reader.feed(bytes.substr(at, piece)); !fed) o.code = fed.error().code;
    if (const auto end = reader.finish(); !end) o.code = end.error().code;
    if (reader.has_header()) o.again = car_header(reader.roots()) + blocks;
    return o;
}

} // namespace

FUZZ {
    if (bytes.empty()) return;
    const auto piece = 1 + static_cast<std::size_t>(static_cast<unsigned char>(bytes.front()));
    bytes.remove_prefix(1);
    if (bytes.size() > 8192) return; // what is too large is noticed when its piece comes
    const auto whole = read(bytes, bytes.size() + 1), pieces = read(bytes, piece);
    must(whole == pieces, "how the bytes are cut does not decide");
    must(!whole.code.empty() || whole.again == bytes, "one CAR has one form");
    const auto view = car_view::read(bytes, {.header = 256, .block = 2048, .blocks = 64, .bytes = 8192});
    must(view.has_value() == whole.code.empty(), "a view takes what a reader takes");
}
