#include <souk/actors/common/publish.hpp>

#include <souk/messages/dag_cbor.hpp>

namespace souk {

namespace {

struct run {
    caf::actor_system& sys;
    signer_actor signer;
    std::string key;
    std::vector<draft> drafts;
    bool chained;
    std::chrono::milliseconds within;
    std::function<void(result<signed_record>)> then;
    std::vector<strong_ref> out;
};

void next(std::shared_ptr<run> r) {
    const auto& d = r->drafts[r->out.size()];
    const bool last = r->out.size() + 1 == r->drafts.size();
    ask<signed_record>(r->sys, r->signer, r->within, sign_record{d.collection, r->key, encode_dag_cbor(filled(d, r->out)), d.attested, last && r->chained},
                       [r, last](result<signed_record> done) {
                           if (!done || done->refused || last) return r->then(std::move(done));
                           r->out.push_back({done->uri, done->cid});
                           next(r);
                       });
}

} // namespace

void publish_drafts(caf::actor_system& sys, const signer_actor& signer, std::string key, std::vector<draft> drafts, bool chained, std::chrono::milliseconds within_each,
                    std::function<void(result<signed_record>)> then) {
    next(std::make_shared<run>(run{sys, signer, std::move(key), std::move(drafts), chained, within_each, std::move(then), {}}));
}

} // namespace souk
