// What a whole repository costs whoever serves it and whoever reads it: run each mode under /usr/bin/time -v.
//   import_bench fill DIR RECORDS    a node's own repository of so many
//   import_bench serve DIR PORT      at com.atproto.sync.getRepo, until its input ends
//   import_bench read PORT           verified as it comes
//   import_bench whole PORT          verified out of one buffer
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iostream>

#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/backends/records/repo_import.hpp>

using namespace souk;

namespace {

const std::string did = "did:web:bench.example", posts = "com.example.post";
constexpr unsigned at_once = 500;

crypto::secret key() { return crypto::secret(std::string(32, 'k')); } // the same in each run: what one signs another verifies
std::vector<crypto::verifier> keys() { return {crypto::verifier::of(crypto::public_of(crypto::curve::k256, key()).value()).value()}; }
std::unique_ptr<synced_repository> repository_in(const std::filesystem::path& dir) {
    std::filesystem::create_directories(dir);
    return open_repository(dir / "records.db", did, key());
}

void fill(const std::filesystem::path& dir, unsigned count) {
    const auto own = repository_in(dir);
    for (unsigned n = 0; n < count; n += at_once) {
        std::vector<record_write> batch;
        for (unsigned k = n; k < n + at_once && k < count; ++k)
            batch.push_back({record_write::kind::create, posts, "", value::map{{"$type", posts}, {"text", "post number " + std::to_string(k) + ", of the length that posts have, more or less, as people write them"}}});
        std::promise<void> done;
        own->apply(std::move(batch), [&](const std::vector<result<stored_record>>&) { done.set_value(); });
        done.get_future().get();
    }
}

void serve(const std::filesystem::path& dir, std::uint16_t port) {
    const auto own = repository_in(dir);
    const repository_door routes{*own, [] { return did_document{}; }, {}};
    http::server_options o;
    o.port = port;
    const http::server door(o, {[&](const http::request& r, const http::responder& tell) {
                                    auto said = routes.answer(r);
                                    tell(said ? std::move(*said) : http::response{404, {}, ""});
                                },
                                {}});
    while (std::cin.get() != EOF) {}
}

http::call export_at(const char* port) {
    http::call c;
    c.url = std::string("http://127.0.0.1:") + port + "/xrpc/com.atproto.sync.getRepo?did=" + did;
    c.within = std::chrono::minutes(10), c.largest_answer = car_limits().bytes;
    return c;
}

template <class T>
T must(result<T> r) {
    if (!r) std::fprintf(stderr, "%s: %s\n", r.error().code.c_str(), r.error().text.c_str()), std::exit(1);
    return std::move(*r);
}

} // namespace

int main(int argc, char** argv) {
    const std::string mode = argc > 2 ? argv[1] : "";
    const auto from = std::chrono::steady_clock::now();
    http::client_options o;
    o.allow_private = true;
    std::size_t records = 0, bytes = 0;
    if (mode == "fill" && argc > 3) return fill(argv[2], static_cast<unsigned>(std::atoi(argv[3]))), 0;
    if (mode == "serve" && argc > 3) return serve(argv[2], static_cast<std::uint16_t>(std::atoi(argv[3]))), 0;
    if (mode == "read") {
        internal::repo_import into(".");
        http::client web(o);
        auto c = export_at(argv[2]);
        c.take = [&](std::string_view piece) { return bytes += piece.size(), into.feed(piece); };
        must(web.fetch_now(std::move(c)));
        records = must(into.finish(did, keys(), {})).records;
    } else if (mode == "whole") {
        http::client web(o);
        const auto said = must(web.fetch_now(export_at(argv[2])));
        bytes = said.body.size(), records = must(verify_repo(said.body, did, keys(), {})).records;
    } else {
        std::fprintf(stderr, "fill DIR RECORDS | serve DIR PORT | read PORT | whole PORT\n");
        return 2;
    }
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
    std::printf("%s: %zu records, %.1f MB, %.1f s\n", mode.c_str(), records, static_cast<double>(bytes) / 1e6, seconds);
}
