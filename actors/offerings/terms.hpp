// What somebody sells: the record that says so, and what is read out of others' records. Pure.
#pragma once
#include <souk/backends/records/repository.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/market_records.hpp>

namespace souk::offerings {

// -- saying ------------------------------------------------------------------------------------------------------------------

struct for_sale {
    std::string door; // "https://host:port": where requests are sent
    std::string cost, currency, frequency;
    std::optional<std::int64_t> slice; // seconds
    std::string tier;
    std::optional<place> location;
};
// Key of the one offering that an account has: the same whenever it is asked for.
std::string key_of(const std::string& did);
// What hosts like these have on offer; none: nothing. Less the dates. The largest machine is what hosts have, not what is free now: an offering is
// no news of every lease. A host that is lost for a while still counts, one that is drained does not.
std::optional<market::offering> offering_of(const for_sale&, const std::vector<host_view>&);

// -- reading -----------------------------------------------------------------------------------------------------------------

inline constexpr std::chrono::hours counts_for{24}; // since it was last proved; its own end may come before
inline constexpr std::size_t longest_service = 2048, most_payloads = 64;

// Fields that are not known are let be: the record grows. Codes of from_value, "bad_service", "offering_over", "bad_offering" (a size or price that is none).
result<offering_view> read_offering(const at_uri&, const strong_ref&, const value& record, instant now);
// Of an author who has several, the one that was made or renewed last, of those that can be read. None: there is none.
std::optional<stored_record> newest_of(const std::vector<stored_record>&, instant now);

struct wanted {
    std::string payload; // NSID
    std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;
    std::optional<place> location;
    std::int64_t ceiling = 0;
    std::string tier;
};
result<wanted> wanted_of(const sellers_query&);
// Whether it is worth asking: what an offering does not say is not held against it.
bool may_sell(const offering_view&, const wanted&);
// Cheaper a second; one without a price comes last.
bool is_cheaper(const offering_view&, const offering_view&);

} // namespace souk::offerings
