// A statement: what a node's books say of a while, beside what the rail says of its wallet. For /v1/statement; shown by runtime/cli/statement.cpp.
#pragma once
#include <souk/actors/book/bookkeeper.hpp>
#include <souk/backends/http/server.hpp>

namespace souk {

// from=, to= (date and time, or a day, which `to` has to its end), party=, contract= (what they begin with), most= (lines). Codes "bad_datetime", "bad_number".
result<book::query> read_statement_query(const http::request&);

// In each asset: the balance before and after, each movement, what each party's come to, what is promised and not settled; whether all entries sum to
// zero; and of the asset that the wallet pays in what the rail holds, and how much of that the books know nothing of. Amounts are decimals, to the unit.
value statement_of(const book::page&, const book::query&, const bookkeeper_options&, bool opened, const std::optional<result<amount>>& on_rail);

} // namespace souk
