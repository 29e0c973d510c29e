#include <souk/messages/firehose.hpp>

#include "fuzz.hpp"

using namespace souk;
using namespace souk::firehose;

FUZZ {
    static const std::vector<crypto::verifier> keys{
        crypto::verifier::of(crypto::public_of(crypto::curve::k256, crypto::secret(std::string(32, '\1'))).value()).value()};
    static const wanted some({"app.bsky.feed.post", "com.example.*"});
    const auto seen = glance(bytes, some);
    const auto e = decode(bytes);
    must(!e || seen.has_value(), "what is read can be glanced at");
    if (!e) return must(!e.error().code.empty(), "a refusal has a code");
    const auto again = encode(*e);
    must(again.has_value() && decode(*again).value() == *e, "an event survives being written");
    if (const auto* c = std::get_if<commit_event>(&*e)) {
        must(seen->seq == c->seq && seen->repo == c->repo && seen->rev == c->rev, "a glance tells what reading tells");
        bool touched = c->ops.empty();
        for (const auto& o : c->ops) touched = touched || some.has_path(o.path);
        must(seen->worth == touched, "a glance lets go what is not wanted, and only that");
        const auto v = verify(*c, keys, {.need_prev_data = false});
        must(v ? v->ops.size() == c->ops.size() : !v.error().code.empty(), "all that was done, or why it is not believed");
    }
    if (const auto* s = std::get_if<sync_event>(&*e)) (void)verify(*s, keys);
}
