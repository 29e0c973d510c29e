// channel_shop RPC DIRECTORY: a paid URL of ours on a chain, GET /minute for at most 50,000 units, paid from channels; ?charge=N charges N of them. GET /books
// says how its channels stand. It says its port, and ends with its standard input; started again in the same directory with the same keys, it goes on.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/payments/channel_till.hpp>
#include <souk/actors/payments/channels.hpp>
#include <souk/actors/payments/evm_channels.hpp>
#include <souk/backends/evm/json_rpc.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

instant system_now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

struct quiet_system : caf::actor_system_config {
    quiet_system() {
        souk::add_message_types<caf::id_block::souk>(*this);
        set("logger.verbosity", caf::atom("quiet"));
    }
};
// A key of the development chain's rich ones, given as 64 digits.
crypto::secret key(const char* digits) { return crypto::secret(from_hex(digits).value()); }

} // namespace

int main(int count, char** words) {
    if (count != 3) return 2;
    const std::filesystem::path home = words[2];
    std::filesystem::create_directories(home);
    http::client web{[] { http::client_options o; o.allow_private = true; return o; }()};
    quiet_system cfg;
    sqlite_journal log(home / "journal.db");
    auto chain = evm::make_json_rpc(http::fetcher_of(web), {words[1], 84532, {}, 8s});
    auto settler = key("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"); // the first account
    const auto payee = crypto::address_of(key("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")).value(); // the third
    evm_rail_options o;
    o.network = "eip155:84532", o.token = {"USDC", "2", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e"}, o.now = system_now;
    channels_options terms;
    terms.pay_to = payee, terms.authorizer = crypto::address_of(settler).value(), terms.withdraw_delay = 900, terms.now = system_now, terms.least_deposit = 500'000;
    terms.most_unclaimed = 40'000'000, terms.claim_at = 40'000'000, terms.most_of_payer = 40'000'000, terms.most_in_all = 40'000'000;
    {
        auto sys = std::make_unique<caf::actor_system>(cfg);
        std::vector<crypto::secret> keys;
        keys.push_back(settler.copy());
        evm_rail rail(*sys, o, log, chain, std::move(keys));
        evm_channels channels(rail, {evm::channel::place{84532}});
        channel_world world(channels, settler.copy());
        auto keeper = spawn_channels(*sys, terms, log, channels, world);
        const channel_till till(*sys, keeper);
        std::atomic<int> served = 0;
        {
            http::server door({}, {[&](http::request r, http::responder answer) {
                if (r.path == "/books") {
                    const foreign_thread here;
                    return ask<channels_view>(*sys, keeper, 10s, channels_query{}, [answer](result<channels_view> v) {
                        answer(v ? http::json_response(200, to_json(to_value(*v))) : http::error_response(503, v.error()));
                    });
                }
                const auto wanted = r.param("charge");
                const amount much = wanted.empty() ? 40'000 : std::atoll(std::string(wanted).c_str());
                till.ask({"http://" + std::string(r.head.get("host")) + r.target, std::string(r.head.get("payment-signature")), 50'000}, [&till, &served, answer, much](till_word w) {
                    const auto write = [answer](const till_word& said, std::string body) {
                        http::response out{said.status, {}, std::move(body)};
                        for (const auto& [name, text] : said.head) out.head.set(name, text);
                        answer(std::move(out));
                    };
                    if (!w.serve) return write(w, "{}");
                    till.served(w, much, [&served, write](till_word said) { write(said, "{\"minute\":" + std::to_string(++served) + "}"); });
                });
            }, {}});
            std::cout << "ready " << door.port() << std::endl;
            for (std::string line; std::getline(std::cin, line);) {}
        }
        caf::anon_send_exit(keeper, caf::exit_reason::kill);
        keeper = channels_actor{};
        rail.close();
        sys.reset();
    }
    return 0;
}
