#include <souk/actors/signer/signer.hpp>

#include <deque>
#include <map>
#include <set>
#include <utility>

#include <souk/actors/common/local_messages.hpp>
#include <souk/actors/signer/draft.hpp>
#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/market_records.hpp>

namespace souk {

struct written { // what the repository said of a batch
    std::vector<result<stored_record>> said;
};
struct withdrawn { // and of a record that was taken back
    std::uint64_t order = 0;
    result<stored_record> said;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::written)
SOUK_LOCAL_MESSAGE(souk::withdrawn)

namespace souk {

namespace {

using own_interface = extended<signer_actor, caf::result<void>(written), caf::result<void>(withdrawn)>;

signed_record published(const stored_record& r) {
    signed_record out;
    out.uri = r.uri.text();
    out.cid = r.cid.text();
    out.record = encode_dag_cbor(r.value);
    return out;
}

signed_record refusing(refusal why) {
    signed_record out;
    out.refused = std::move(why);
    return out;
}

struct signer_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.signer";

    signer_state(handle::pointer self, signer_options o, repository& own, const crypto::secret& signing_key)
        : self_(self), options_(std::move(o)), records_(own), key_(signing_key) {
        std::int64_t since = 0; // one log, whatever its links are called
        for (const auto nsid : {ccr::nsid, flat::ccr::nsid})
            if (const auto newest = records_.newest(std::string(nsid)); newest && newest->time_us > since) previous_ = newest->cid.text(), since = newest->time_us;
    }
    handle::behavior_type make_behavior() {
        return {[this](const sign_record& what) -> caf::result<signed_record> {
            if (waiting_.size() >= most_waiting) return refusing({"not_now", "too many records wait to be signed"});
            auto promise = self_->make_response_promise<signed_record>();
            waiting_.push_back({what, promise, false});
            sign_waiting();
            return promise;
        }, [this](const withdraw_record& what) -> caf::result<kept> {
            if (!signing::is_withdrawable(what.collection))
                return kept{0, refusal{"not_withdrawable", "records of " + what.collection + " stay"}};
            if (!records_.get(what.collection, what.rkey)) return kept{};
            if (withdrawals_.size() >= most_waiting) return kept{0, refusal{"not_now", "too many records wait to be withdrawn"}};
            const auto promise = self_->make_response_promise<kept>();
            const auto order = ++last_withdrawal_;
            withdrawals_.emplace(order, promise);
            std::vector<record_write> one;
            one.push_back({record_write::kind::remove, what.collection, what.rkey, {}});
            records_.apply(std::move(one), [me = handle{self_}, order](std::vector<result<stored_record>> said) { tell(me, withdrawn{order, std::move(said.front())}); });
            return promise;
        }, [this](written& w) { kept_or_not(std::move(w.said)); },
        [this](withdrawn& w) {
            auto node = withdrawals_.extract(w.order);
            if (!node) return;
            if (w.said) node.mapped().deliver(kept{1, {}});
            else node.mapped().deliver(kept{0, w.said.error()});
        }};
    }

private:
    struct order {
        sign_record what;
        caf::typed_response_promise<signed_record> promise;
        bool again = false;
    };

    // All that came while the disk was busy are signed together, and the disk keeps all of them or none: receipts form a chain.
    void sign_waiting() {
        while (under_way_.empty() && !waiting_.empty()) {
            std::vector<record_write> writes;
            std::set<std::pair<std::string, std::string>> names;
            std::deque<order> later;
            newest_ = previous_;
            for (; !waiting_.empty() && writes.size() < most_at_once; waiting_.pop_front()) {
                auto& o = waiting_.front();
                if (!o.what.rkey.empty() && !names.emplace(o.what.collection, o.what.rkey).second) { // judged by what the one before it leaves
                    later.push_back(std::move(o));
                    continue;
                }
                auto draft = sign(o);
                if (!draft) continue;
                writes.push_back(std::move(*draft));
                under_way_.push_back(std::move(o));
            }
            waiting_.insert(waiting_.begin(), std::make_move_iterator(later.begin()), std::make_move_iterator(later.end()));
            if (!writes.empty()) records_.apply(std::move(writes), [me = handle{self_}](std::vector<result<stored_record>> said) { tell(me, written{std::move(said)}); });
        }
    }
    void kept_or_not(std::vector<result<stored_record>> said) {
        auto orders = std::exchange(under_way_, {});
        for (std::size_t i = 0; i < orders.size(); ++i) {
            auto promise = orders[i].promise;
            // Where records are at another host, one of ours may have arrived without our hearing of it: it is there now to be answered with.
            if (!said[i] && said[i].error().code == "record_exists" && !orders[i].what.rkey.empty() && !std::exchange(orders[i].again, true)) {
                waiting_.push_front(std::move(orders[i]));
                continue;
            }
            if (said[i] && signing::is_linked(orders[i].what.collection)) previous_ = said[i]->cid.text();
            promise.deliver(said[i] ? published(*said[i]) : refusing(said[i].error()));
        }
        sign_waiting();
    }

    // Nothing: the order is answered already, with what is there or with a refusal.
    std::optional<record_write> sign(order& o) {
        const auto& what = o.what;
        const auto no = [&](refusal why) {
            o.promise.deliver(refusing(std::move(why)));
            return std::nullopt;
        };
        const auto now = options_.now();
        auto draft = signing::complete(what, {now, newest_});
        if (!draft) return no(draft.error());
        const auto found = what.rkey.empty() ? std::nullopt : records_.get(what.collection, what.rkey);
        if (found) {
            if (found->value.text("$type") != what.collection) return no({"record_exists", found->uri.text() + " is a record of another kind"});
            if (!signing::is_replaceable(what.collection) || signing::say_the_same(found->value, *draft)) {
                o.promise.deliver(published(*found));
                return std::nullopt;
            }
        }
        if (what.attest)
            if (auto r = attest(*draft, options_.did, options_.did, crypto::curve::k256, key_, to_datetime(now)); !r) return no(r.error());
        if (auto r = signing::check_kind(what.collection, *draft); !r) return no(r.error());
        if (signing::is_linked(what.collection)) newest_ = cid::of_dag_cbor(encode_dag_cbor(*draft)).text();
        return record_write{found ? record_write::kind::put : record_write::kind::create, what.collection, what.rkey, std::move(*draft)};
    }

    static constexpr std::size_t most_waiting = 10'000;
    static constexpr std::size_t most_at_once = 64; // a batch that fails as a whole, and one commit's wait for the last of it

    handle::pointer self_;
    signer_options options_;
    repository& records_;
    const crypto::secret& key_;
    std::deque<order> waiting_;
    std::map<std::uint64_t, caf::typed_response_promise<kept>> withdrawals_;
    std::uint64_t last_withdrawal_ = 0;
    std::vector<order> under_way_;       // with the repository, in this order
    std::optional<std::string> previous_; // receipt that is durable, its CID
    std::optional<std::string> newest_;   // receipt of the batch that is being signed
};

} // namespace

signer_actor spawn_signer(caf::actor_system& sys, signer_options o, repository& own, const crypto::secret& signing_key) {
    if (own.did() != o.did) throw std::invalid_argument("the signer of " + o.did + " was given the repository of " + own.did());
    return sys.spawn<actor_of<signer_state>>(std::move(o), std::ref(own), std::cref(signing_key));
}

signer_actor spawn_signer(caf::actor_system& sys, signer_options o, repository& own, const keyring& keys) {
    return spawn_signer(sys, std::move(o), own, keys.signing());
}

} // namespace souk
