// Small stand-ins in memory: a repository, everyone's records, the web, a journal. Each can keep its answers back.
#pragma once
#include <map>
#include <algorithm>
#include <set>

#include <souk/backends/http/client.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/backends/store/journal.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/jwt.hpp>
#include <souk/messages/records.hpp>

namespace stage {

using namespace souk;

inline stored_record record_of(const std::string& did, const std::string& collection, const std::string& rkey, value v, std::int64_t time_us = 0) {
    auto id = cid_of(v);
    stored_record r;
    r.uri = {did, collection, rkey}, r.cid = std::move(id), r.value = std::move(v), r.time_us = time_us;
    return r;
}

// What comes back later, when the test lets it.
class tray {
public:
    bool hold = false;
    void give(std::function<void()> f) {
        if (hold) held_.push_back(std::move(f));
        else f();
    }
    void release() {
        hold = false;
        for (auto& f : std::exchange(held_, {})) f();
    }
    std::size_t waiting() const { return held_.size(); }

private:
    std::vector<std::function<void()>> held_;
};

class repository final : public souk::repository {
public:
    explicit repository(std::string did) : did_(std::move(did)) {}
    std::optional<refusal> broken; // what every write answers
    tray out;                      // answers to `apply`

    const std::string& did() const override { return did_; }
    result<stored_record> create(const std::string& collection, const std::string& rkey, const value& v) override {
        const auto key = rkey.empty() ? "made" + std::to_string(time_ + 1) : rkey;
        if (const auto known = get(collection, key)) {
            if (known->value == v) return *known;
            return refusal{"record_exists", "there is another"};
        }
        return put(collection, key, v);
    }
    result<stored_record> put(const std::string& collection, const std::string& rkey, const value& v) override {
        if (broken) return *broken;
        return all_[collection].insert_or_assign(rkey, record_of(did_, collection, rkey, v, ++time_)).first->second;
    }
    result<void> remove(const std::string& collection, const std::string& rkey) override {
        all_[collection].erase(rkey);
        return {};
    }
    void apply(std::vector<record_write> all, written then) override {
        std::vector<result<stored_record>> said;
        for (const auto& w : all) {
            if (w.how == record_write::kind::remove) said.push_back(remove(w.collection, w.rkey) ? result<stored_record>(stored_record{}) : refusal{"disk_error", "no"});
            else said.push_back(w.how == record_write::kind::put ? put(w.collection, w.rkey, w.what) : create(w.collection, w.rkey, w.what));
        }
        out.give([then = std::move(then), said = std::move(said)] { then(said); });
    }
    std::optional<stored_record> get(const std::string& collection, const std::string& rkey) const override {
        const auto kind = all_.find(collection);
        if (kind == all_.end() || !kind->second.contains(rkey)) return std::nullopt;
        return kind->second.at(rkey);
    }
    std::vector<stored_record> list(const std::string& collection, std::size_t most, const std::string& cursor, bool oldest_first) const override {
        std::vector<stored_record> found;
        const auto kind = all_.find(collection);
        if (kind == all_.end()) return found;
        for (const auto& [rkey, r] : kind->second)
            if (cursor.empty() || (oldest_first ? rkey > cursor : rkey < cursor)) found.push_back(r);
        if (!oldest_first) std::reverse(found.begin(), found.end());
        if (found.size() > most) found.resize(most);
        return found;
    }
    std::optional<stored_record> newest(const std::string& collection) const override {
        std::optional<stored_record> found;
        for (auto& r : list(collection, ~std::size_t{0}, "", true))
            if (!found || r.time_us > found->time_us) found = std::move(r);
        return found;
    }
    std::vector<std::string> collections() const override { return {}; }
    std::vector<stored_record> since(std::int64_t, std::size_t, std::size_t) const override { return {}; }
    std::shared_ptr<void> listen(listener) override { return nullptr; }

private:
    std::string did_;
    std::map<std::string, std::map<std::string, stored_record>> all_; // by collection, by key
    std::int64_t time_ = 0;
};

class network final : public record_network {
public:
    std::map<std::string, std::vector<stored_record>> records; // by author
    std::map<std::string, did_document> documents;
    std::set<std::string> unreachable, unproven; // whose host does not answer; whose host says what its account never signed
    tray out;
    int lists = 0, look_ups = 0;

    void add(const std::string& did, std::string_view collection, const std::string& rkey, value v) {
        records[did].push_back(record_of(did, std::string(collection), rkey, std::move(v)));
    }
    void fetch(const strong_ref&, std::function<void(result<stored_record>)> tell) override { tell(refusal{"record_not_found", "no"}); }
    void list(const std::string& did, const std::string& collection, std::function<void(result<std::vector<stored_record>>)> tell) override {
        ++lists;
        std::vector<stored_record> found;
        for (const auto& r : records[did])
            if (r.uri.collection == collection) found.push_back(r);
        result<std::vector<stored_record>> got = std::move(found);
        if (unreachable.contains(did)) got = refusal{"did_unresolved", did + " cannot be resolved"};
        out.give([tell = std::move(tell), got = std::move(got)] { tell(got); });
    }
    void list_proven(const std::string& did, const std::string& collection, std::function<void(result<std::vector<stored_record>>)> tell) override {
        if (!unproven.contains(did)) return list(did, collection, std::move(tell));
        out.give([tell = std::move(tell)] { tell(refusal{"record_not_proven", "bad_signature: no key of the account made it"}); });
    }
    void keys(const std::string& did, std::function<void(result<did_document>)> tell) override {
        ++look_ups;
        const auto found = documents.find(did);
        result<did_document> got = refusal{"did_unresolved", did + " cannot be resolved"};
        if (found != documents.end() && !unreachable.contains(did)) got = found->second;
        out.give([tell = std::move(tell), got = std::move(got)] { tell(got); });
    }
};

class web {
public:
    std::map<std::string, http::response> pages; // by URL
    std::vector<http::call> calls;
    tray out;

    void fetch(http::call c, std::function<void(result<http::response>)> tell) {
        calls.push_back(c);
        const auto found = pages.find(c.url);
        result<http::response> got = refusal{"http_unreachable", "nothing listens there"};
        if (found != pages.end()) got = found->second;
        out.give([tell = std::move(tell), got = std::move(got)] { tell(got); });
    }
    int calls_to(const std::string& url) const {
        return static_cast<int>(std::count_if(calls.begin(), calls.end(), [&](const auto& c) { return c.url == url; }));
    }
};

class journal final : public souk::journal {
public:
    void append(append_request what, done tell) override {
        auto& s = streams_[what.stream];
        if (s.facts.size() != what.expected) return tell({stored::conflict, s});
        for (auto& e : what.events) s.facts.push_back({what.at, std::move(e)});
        closed_[what.stream] = what.closes;
        tell({stored::yes, {}});
    }
    void open_streams(std::string_view kind, const visitor& visit) override {
        const auto head = std::string(kind) + '/';
        for (const auto& [name, h] : streams_)
            if (name.starts_with(head) && !closed_[name] && !h.facts.empty()) visit(name.substr(head.size()), h);
    }
    history past(std::string_view kind, const std::string& key) override { return streams_[std::string(kind) + '/' + key]; }
    std::vector<std::string> newest(std::string_view, std::size_t) override { return {}; }
    std::uint64_t ended(const std::vector<std::string_view>&, std::uint64_t mark, std::size_t, const visitor&) override { return mark; }

private:
    std::map<std::string, history> streams_;
    std::map<std::string, bool> closed_;
};

// A person or node of the market: a DID, a key, and the document that binds them.
struct party {
    std::string did;
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::public_key open = crypto::public_of(crypto::curve::k256, key).value();
    did_document document(const std::string& pds = {}) const {
        did_document d;
        d.did = did, d.signing = {open}, d.pds = pds;
        return d;
    }
};

inline const jwt::rsa_key& rsa(int which = 0) { // making one takes long
    static std::map<int, jwt::rsa_key> keys;
    return keys.try_emplace(which, keys.contains(which) ? jwt::rsa_key{} : jwt::rsa_key::generate(2048)).first->second;
}

} // namespace stage
