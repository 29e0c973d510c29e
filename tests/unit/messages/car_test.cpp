#include <doctest/doctest.h>

#include <random>

#include <souk/messages/bytes.hpp>
#include <souk/messages/car.hpp>

using namespace souk;

namespace {

using blocks = std::vector<std::pair<cid, std::string>>;

std::string car_of(const std::vector<cid>& roots, const blocks& all) {
    auto out = car_header(roots);
    for (const auto& [id, bytes] : all) append_car_block(out, id, bytes);
    return out;
}

blocks some_blocks() {
    blocks out;
    for (std::size_t n : {0u, 1u, 90u, 91u, 92u, 127u, 128u, 5000u, 20000u}) { // lengths of one, two and three bytes
        const std::string bytes(n, 'x');
        out.emplace_back(n % 2 == 0 ? cid::of_dag_cbor(bytes) : cid::of_raw(bytes), bytes);
    }
    return out;
}

struct outcome {
    std::vector<cid> roots;
    blocks seen;
    std::string code;
    bool operator==(const outcome&) const = default;
};

template <class F>
outcome read_in(std::string_view bytes, F&& next_piece, const car_limits& limits = {}) {
    outcome o;
    car_reader reader([&](const cid& c, std::string_view b) -> result<void> { return o.seen.emplace_back(c, b), result<void>(); }, limits);
    while (!bytes.empty() && o.code.empty()) {
        const auto n = std::min<std::size_t>(next_piece(), bytes.size());
        if (const auto fed = reader.feed(bytes.substr(0, n)); !fed) o.code = fed.error().code;
        bytes.remove_prefix(n);
    }
    if (const auto end = reader.finish(); !end) {
        CHECK((o.code.empty() || o.code == end.error().code));
        o.code = end.error().code;
    }
    o.roots = reader.roots();
    return o;
}

std::string code(const std::string& bytes, const car_limits& limits = {}) {
    const auto all = [&] { return bytes.size(); };
    const auto one = [] { return 1; };
    const auto whole = read_in(bytes, all, limits), by_one = read_in(bytes, one, limits);
    CHECK(whole.code == by_one.code);
    return whole.code;
}

} // namespace

TEST_CASE("a CAR says what the format says") {
    const auto root = cid::of_dag_cbor("\xa0");
    CHECK(to_hex(car_header({root})) == "3aa265726f6f747381d82a582500" + to_hex(root.bytes()) + "6776657273696f6e01");
    std::string block;
    append_car_block(block, root, "\xa0");
    CHECK(to_hex(block) == "25" + to_hex(root.bytes()) + "a0");
    for (const auto& [id, bytes] : some_blocks()) {
        std::string one;
        append_car_block(one, id, bytes);
        CHECK(car_block_size(bytes) == one.size());
    }
}

TEST_CASE("however a CAR is cut, it is the same one") {
    const auto all = some_blocks();
    const auto bytes = car_of({all[2].first, all[1].first}, all);
    const outcome expected{{all[2].first, all[1].first}, all, ""};
    for (std::size_t piece : {std::size_t(1), std::size_t(2), std::size_t(3), std::size_t(37), std::size_t(128), std::size_t(4096), bytes.size()})
        CHECK(read_in(bytes, [&] { return piece; }) == expected);
    std::mt19937_64 random(1);
    for (int i = 0; i < 100; ++i) CHECK(read_in(bytes, [&] { return 1 + random() % (i % 2 ? 60 : 9000); }) == expected);
    for (std::size_t at = 0; at < 400; ++at) // in two, anywhere
        CHECK(read_in(bytes, [&, first = true]() mutable { return std::exchange(first, false) ? std::max<std::size_t>(1, at) : bytes.size(); }) ==
              expected);

    const auto view = car_view::read(bytes).value();
    const auto copy = read_car(bytes).value();
    CHECK(view.roots() == expected.roots);
    CHECK(copy.roots == expected.roots);
    CHECK(view.size() == all.size());
    for (const auto& [id, b] : all) {
        CHECK(view.get(id) == b);
        CHECK(copy.blocks.get(id) == b);
    }
    CHECK(!view.get(cid::of_raw("none")));
}

TEST_CASE("a CAR that ends early is no CAR, wherever it ends") {
    const auto all = some_blocks();
    const blocks few(all.begin(), all.begin() + 4);
    const auto bytes = car_of({all[2].first}, few);
    std::size_t whole = 0;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const auto c = code(bytes.substr(0, n));
        if (c.empty())
            ++whole; // between two blocks
        else
            CHECK(c == "car_truncated");
    }
    CHECK(whole == few.size());
    CHECK(code("") == "car_truncated");
}

TEST_CASE("no byte of a CAR can be changed unseen") {
    const auto all = some_blocks();
    const blocks few(all.begin(), all.begin() + 3);
    const auto bytes = car_of({all[2].first}, few);
    for (std::size_t at = car_header({all[2].first}).size(); at < bytes.size(); ++at)
        for (const int bit : {0, 1, 3, 7}) {
            auto changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
            CAPTURE(at);
            CHECK(!code(changed).empty());
        }
}

TEST_CASE("what a CAR must not be is refused, each with its code") {
    const auto block = some_blocks()[2];
    const auto header = car_header({block.first});
    auto sealed = header;
    append_car_block(sealed, block.first, block.second);
    CHECK(code(sealed) == "");
    CHECK(code(car_header({})) == "");
    const auto with = [&](const std::string& rest) { return code(header + rest); };
    CHECK(with(std::string("\xa5\x00", 2)) == "car_bad_varint");
    CHECK(with(std::string(9, '\xff')) == "car_bad_varint");
    CHECK(with(std::string(8, '\xff') + '\x7f') == "car_block_too_large");
    CHECK(with(std::string(1, '\0')) == "car_bad_cid");
    CHECK(with(std::string(1, '\x23') + std::string(35, 'x')) == "car_bad_cid");
    CHECK(with(std::string(1, '\x24') + std::string(36, 'x')) == "car_bad_cid");
    std::string other;
    append_car_block(other, block.first, block.second + "x");
    CHECK(with(other) == "cid_mismatch");
    other.clear();
    append_car_block(other, cid::of_raw(block.second), block.second); // of the same bytes as another codec: another CID, and right
    CHECK(with(other) == "");

    const auto head = [](const std::string& body) { return code(std::string(1, static_cast<char>(body.size())) + body); };
    CHECK(head(from_hex("a265726f6f7473806776657273696f6e01").value()) == "");
    CHECK(head(from_hex("a265726f6f7473806776657273696f6e02").value()) == "car_bad_header");
    CHECK(head(from_hex("a16776657273696f6e01").value()) == "car_bad_header");
    CHECK(head(from_hex("a165726f6f747380").value()) == "car_bad_header");
    CHECK(head(from_hex("a265726f6f747381016776657273696f6e01").value()) == "car_bad_header");
    CHECK(head(from_hex("a361610165726f6f7473806776657273696f6e01").value()) == "car_bad_header");
    CHECK(head("\xff") == "car_bad_header");
    CHECK(head("") == "car_bad_header");
}

TEST_CASE("a CAR has limits, and a reader that refused says so from then on") {
    const auto all = some_blocks();
    const auto bytes = car_of({all[2].first}, all);
    CHECK(code(bytes, {.block = 20000}) == "");
    CHECK(code(bytes, {.block = 19999}) == "car_block_too_large");
    CHECK(code(bytes, {.blocks = all.size()}) == "");
    CHECK(code(bytes, {.blocks = all.size() - 1}) == "car_too_many_blocks");
    CHECK(code(bytes, {.bytes = bytes.size()}) == "");
    CHECK(code(bytes, {.bytes = bytes.size() - 1}) == "car_too_large");
    CHECK(code(bytes, {.header = 58}) == "");
    CHECK(code(bytes, {.header = 57}) == "car_header_too_large");

    int asked = 0;
    car_reader reader([&](const cid&, std::string_view) -> result<void> { return ++asked, refusal{"enough", "no more"}; });
    CHECK(reader.feed(bytes).error().code == "enough");
    CHECK(reader.feed(bytes).error().code == "enough");
    CHECK(reader.finish().error().code == "enough");
    CHECK(asked == 1);
}
