// Logs of did:plc, as a directory tells them and bare: JSON, or DAG-CBOR where it is that.
#include <souk/backends/records/plc.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

std::string did_in(const value& log) {
    const auto* all = log.as<value::list>();
    if (!all || all->empty()) return "did:plc:none";
    const auto* operation = all->front().find("operation");
    return plc::did_of(operation ? *operation : all->front());
}

} // namespace

FUZZ {
    auto log = from_json(bytes);
    if (!log) log = decode_dag_cbor(bytes);
    if (!log) return;
    const auto did = did_in(*log);
    const auto h = plc::read_history(did, *log);
    if (!h) {
        must(h.error().code == "bad_plc_log", "one code for what is not believed");
        return;
    }
    must(!plc::read_history("did:plc:" + std::string(24, 'a'), *log) || did == "did:plc:" + std::string(24, 'a'), "a log is of one DID");
    must(!h->all[h->head].nullified && h->document.did == did, "what counts last is the head");
    const auto line = plc::read_history(did, h->operations());
    must(line && line->head_cid() == h->head_cid() && line->given_up == h->given_up, "what counts is one unbroken line");
    const auto again = plc::read_history(did, from_json(to_json(h->audit())).value());
    must(again && again->head_cid() == h->head_cid() && again->all.size() == h->all.size(), "a log told on is the same log");
    must(!plc::tombstone(h->last(), crypto::secret(std::string(32, '\1'))), "nothing is made with a stranger's key");
}
