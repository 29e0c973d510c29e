#include <souk/backends/keys/keyring.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <forward_list>

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <souk/backends/keys/ssh_key_file.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>

namespace souk {

namespace {

constexpr off_t largest_key_file = 16 * 1024;
constexpr const char* no_passphrase = "it is encrypted, and no passphrase is at hand: [wallet] passphrase_file, SOUK_PASSPHRASE, or a terminal";

[[noreturn]] void refuse(const std::filesystem::path& what, const std::string& why) {
    throw std::runtime_error("cannot use the key in " + what.string() + ": " + why);
}

[[noreturn]] void refuse(const std::filesystem::path& what, const refusal& why) {
    throw refused({why.code, "cannot use the key in " + what.string() + ": " + why.text});
}

class descriptor {
public:
    explicit descriptor(int fd) : fd_(fd) {}
    descriptor(descriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    operator int() const { return fd_; }

private:
    int fd_;
};

void check_ours(const struct stat& is, const std::filesystem::path& what, const char* remedy) {
    if (is.st_uid != ::geteuid()) refuse(what, "it belongs to another user");
    if (is.st_mode & 077) refuse(what, std::string("others may read it; ") + remedy + ' ' + what.string());
}

// Empty when there is none.
crypto::secret read_secret(const std::filesystem::path& file) {
    const descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (in < 0 && errno == ENOENT) return {};
    if (in < 0) refuse(file, std::strerror(errno));
    struct stat is{};
    if (::fstat(in, &is) != 0 || !S_ISREG(is.st_mode)) refuse(file, "it is no plain file");
    check_ours(is, file, "chmod 600");
    if (is.st_size == 0 || is.st_size > largest_key_file) refuse(file, "its size is not a key's");
    std::string bytes(static_cast<std::size_t>(is.st_size), '\0');
    const auto n = ::read(in, bytes.data(), bytes.size());
    crypto::secret all(std::move(bytes));
    if (n != is.st_size) refuse(file, "it cannot be read whole");
    return all;
}

crypto::secret hex_of(std::string_view bytes) { return crypto::secret(to_hex(bytes)); }
crypto::secret from_hex_text(const crypto::secret& line, std::size_t size, const std::filesystem::path& file) {
    auto text = line.view();
    if (text.ends_with('\n')) text.remove_suffix(1);
    auto bytes = from_hex(text);
    crypto::secret key(bytes ? std::move(*bytes) : std::string());
    if (key.view().size() != size) refuse(file, "it does not hold " + std::to_string(size) + " bytes in hexadecimal");
    return key;
}

bool is_k256(const std::string& name) {
    for (const char* one : {"signing.key", "signing.next", "rotation.key", "wallet.key"})
        if (name == one) return true;
    return name.starts_with("settling-") && name.ends_with(".key");
}

// A passphrase, and what it was stretched to: files of one keyring share their salt, so that a start does it once.
class opener {
public:
    explicit opener(crypto::secret passphrase) : passphrase_(std::move(passphrase)) {}
    result<const crypto::secret*> stretched(const stretching& how) {
        for (const auto& [known, key] : all_)
            if (known == how) return &key;
        auto key = stretch(how, passphrase_);
        if (!key) return key.error();
        return &all_.emplace_front(how, std::move(*key)).second;
    }
    result<crypto::secret> open(const locked_key& k) {
        const auto by = stretched(k.argon2id);
        if (!by) return by.error();
        return unlock_key(k, **by);
    }
    result<std::string> lock(const crypto::secret& key, const stretching& how) {
        const auto by = stretched(how);
        if (!by) return by.error();
        return lock_key(key, how, **by);
    }

private:
    crypto::secret passphrase_;
    std::forward_list<std::pair<stretching, crypto::secret>> all_; // what it points to stays
};

} // namespace

struct keyring::made {
    std::mutex guard;
    passphrase_source source;
    std::optional<opener> pass; // once it was needed
    std::optional<crypto::secret> signing, rotation, wallet;
    std::optional<crypto::seal_pair> seal;
    std::optional<jwt::rsa_key> issuer;
    std::string ssh_public;
    crypto::public_key signing_public, rotation_public;
    crypto::address wallet_address;

    // The file's text; made by `make` when there is none yet. Two processes that start at once make one key.
    template <class Make>
    static crypto::secret load(const std::filesystem::path& file, Make make) {
        const auto lock = hold(file);
        if (auto there = read_secret(file); !there.empty()) return there;
        const crypto::secret fresh = make();
        tls::write_secret(file, fresh.view());
        return read_secret(file);
    }
    static descriptor hold(const std::filesystem::path& file) {
        descriptor lock(::open((file.parent_path() / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (lock < 0 || ::flock(lock, LOCK_EX) != 0) refuse(file, std::strerror(errno));
        return lock;
    }

    // -- keys of secp256k1: with `guard` held, as all that follows ---------------------------------------------------------------------

    result<opener*> passphrase() {
        if (pass) return &*pass;
        if (!source.ask) return refusal{"key_locked", no_passphrase};
        auto said = source.ask();
        if (!said) return said.error();
        if (said->empty() || said->view().size() > most_passphrase) return refusal{"bad_passphrase", "the passphrase is empty, or longer than 1,024 bytes"};
        return &pass.emplace(std::move(*said));
    }
    static locked_key parsed(const crypto::secret& text, const std::filesystem::path& file) {
        auto k = read_locked_key(text.view());
        if (!k) refuse(file, k.error());
        return std::move(*k);
    }
    crypto::secret opened(const crypto::secret& text, const std::filesystem::path& file) {
        if (!is_locked(text.view())) return from_hex_text(text, 32, file);
        const auto k = parsed(text, file);
        const auto by = passphrase();
        if (!by) refuse(file, by.error());
        auto key = (*by)->open(k);
        if (!key) refuse(file, key.error());
        return std::move(*key);
    }
    // How the files here are stretched, if one is encrypted. One that cannot be used is its own trouble, not the others'.
    static std::optional<stretching> usual(const std::filesystem::path& directory) {
        for (const auto& one : k256_files(directory)) {
            const auto text = read_if_usable(one);
            if (!is_locked(text.view())) continue;
            const auto k = read_locked_key(text.view());
            return k ? k->argon2id : stretching::fresh();
        }
        return std::nullopt;
    }
    static crypto::secret read_if_usable(const std::filesystem::path& file) {
        try {
            return read_secret(file);
        } catch (const std::runtime_error&) {
            return {};
        }
    }
    static std::vector<std::filesystem::path> k256_files(const std::filesystem::path& directory) {
        std::vector<std::filesystem::path> all;
        for (const auto& one : std::filesystem::directory_iterator(directory))
            if (is_k256(one.path().filename().string())) all.push_back(one.path());
        std::sort(all.begin(), all.end());
        return all;
    }
    // A key as it is kept here: encrypted where that is configured, or another one is.
    crypto::secret as_kept(const crypto::secret& key, const std::filesystem::path& file) {
        auto how = usual(file.parent_path());
        if (!how && !source.configured) return hex_of(key.view());
        const auto by = passphrase();
        if (!by) refuse(file, by.error());
        auto text = (*by)->lock(key, how ? *how : stretching::fresh());
        if (!text) refuse(file, text.error());
        return crypto::secret(std::move(*text));
    }
    crypto::secret text_of_k256(const std::filesystem::path& file) {
        return load(file, [&] { return as_kept(crypto::generate(crypto::curve::k256), file); });
    }
    crypto::secret load_k256(const std::filesystem::path& file) { return opened(text_of_k256(file), file); }
    static crypto::public_key public_of(const crypto::secret& key, const std::filesystem::path& file) {
        auto open = crypto::public_of(crypto::curve::k256, key);
        if (!open) refuse(file, open.error().text);
        return std::move(*open);
    }
    void need_signing(const std::filesystem::path& in) {
        const std::lock_guard mine(guard);
        if (signing) return;
        auto key = load_k256(in / "signing.key");
        signing_public = public_of(key, in / "signing.key");
        signing = std::move(key);
    }
    void need_rotation(const std::filesystem::path& in) {
        const std::lock_guard mine(guard);
        if (rotation) return;
        auto key = load_k256(in / "rotation.key");
        rotation_public = public_of(key, in / "rotation.key");
        rotation = std::move(key);
    }
    // Of an encrypted one it is what stands in clear; to spend from another is not possible by that.
    crypto::address address_of_wallet(const std::filesystem::path& in) {
        {
            const std::lock_guard mine(guard);
            if (!wallet)
                if (const auto text = text_of_k256(in / "wallet.key"); is_locked(text.view())) return parsed(text, in / "wallet.key").address;
        }
        need_wallet(in);
        return wallet_address;
    }
    void need_wallet(const std::filesystem::path& in) {
        const std::lock_guard mine(guard);
        if (wallet) return;
        auto key = load_k256(in / "wallet.key");
        auto address = crypto::address_of(key);
        if (!address) refuse(in / "wallet.key", address.error().text);
        wallet_address = std::move(*address);
        wallet = std::move(key);
    }
    void need_seal(const std::filesystem::path& in) {
        const std::lock_guard mine(guard);
        if (seal) return;
        const auto file = in / "seal.key";
        auto key = from_hex_text(load(file, [] { return hex_of(crypto::generate_seal_pair().private32.view()); }),
                                 crypto_box_SECRETKEYBYTES, file);
        std::string open(crypto_box_PUBLICKEYBYTES, '\0');
        crypto_scalarmult_base(reinterpret_cast<unsigned char*>(open.data()),
                               reinterpret_cast<const unsigned char*>(key.view().data()));
        seal = crypto::seal_pair{std::move(open), std::move(key)};
    }
    void need_issuer(const std::filesystem::path& in) {
        const std::lock_guard mine(guard);
        if (issuer) return;
        const auto pem = load(in / "issuer.pem", [] { return crypto::secret(jwt::rsa_key::generate().pem); });
        issuer = jwt::rsa_key{std::string(pem.view())};
    }
    void need_ssh(const std::filesystem::path& in) {
        const std::lock_guard mine(guard);
        if (!ssh_public.empty()) return;
        const auto text = load(in / "ssh_ed25519", [] { return internal::make_ssh_key_file(); });
        auto line = internal::ssh_public_line(text.view());
        if (!line) refuse(in / "ssh_ed25519", line.error().text);
        ssh_public = std::move(*line);
    }
};

namespace {

constexpr std::size_t most_retired = 5; // with the four others, no more methods than a did:plc takes

std::vector<crypto::public_key> read_retired(const std::filesystem::path& file) {
    std::vector<crypto::public_key> all;
    const auto text = read_secret(file);
    for (auto rest = text.view(); !rest.empty();) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        auto key = crypto::public_key::from_did_key(line);
        if (!key || all.size() == most_retired) refuse(file, "it is no list of did:keys");
        all.push_back(std::move(*key));
    }
    return all;
}

} // namespace

std::optional<crypto::public_key> keyring::next_signing() const {
    const auto file = directory_ / "signing.next";
    const auto line = read_secret(file);
    if (line.empty()) return std::nullopt;
    const std::lock_guard mine(made_->guard);
    return made::public_of(made_->opened(line, file), file);
}
crypto::public_key keyring::prepare_next_signing() const {
    (void)signing(); // there is one to follow
    const auto file = directory_ / "signing.next";
    const std::lock_guard mine(made_->guard);
    return made::public_of(made_->load_k256(file), file);
}
// The old one is listed before the new one takes its place: whatever happens in between, nothing is lost.
void keyring::put_next_in_force() const {
    const auto next = directory_ / "signing.next", now = directory_ / "signing.key", list = directory_ / "retired";
    const auto fresh = read_secret(next);
    if (fresh.empty()) refuse(next, "there is none");
    const std::lock_guard mine(made_->guard);
    const auto old = made::public_of(made_->load_k256(now), now);
    auto all = retired();
    if (std::find(all.begin(), all.end(), old) == all.end()) all.insert(all.begin(), old);
    if (all.size() > most_retired) all.resize(most_retired);
    std::string text;
    for (const auto& key : all) text += key.did_key() + '\n';
    tls::write_secret(list, text);
    tls::write_secret(now, fresh.view());
    std::filesystem::remove(next);
}
std::vector<crypto::public_key> keyring::retired() const { return read_retired(directory_ / "retired"); }
void keyring::forget_retired() const { std::filesystem::remove(directory_ / "retired"); }

// -- at rest ---------------------------------------------------------------------------------------------------------------------------

std::vector<keyring::kept_key> keyring::kept() const {
    std::vector<kept_key> all;
    for (const auto& one : made::k256_files(directory_))
        if (const auto text = made::read_if_usable(one); !text.empty()) all.push_back({one.filename().string(), is_locked(text.view())});
    return all;
}
bool keyring::has_wallet() const { return !read_secret(directory_ / "wallet.key").empty(); }

result<crypto::address> keyring::put_wallet(crypto::secret key) const {
    auto address = crypto::address_of(key);
    if (!address) return address.error();
    const auto file = directory_ / "wallet.key";
    const std::lock_guard mine(made_->guard);
    const auto lock = made::hold(file);
    if (!read_secret(file).empty())
        return refusal{"wallet_exists", "there is a wallet's key already, and nothing writes over one: stop the node, move " + file.string() + " to a safe place (whoever has it has its money), and do this again"};
    tls::write_secret(file, made_->as_kept(key, file).view());
    return address;
}

result<std::size_t> keyring::encrypt(const crypto::secret& passphrase, stretching how) const {
    if (passphrase.view().size() < least_passphrase || passphrase.view().size() > most_passphrase)
        return refusal{"bad_passphrase", "a passphrase has 8 to 1,024 bytes"};
    const std::lock_guard mine(made_->guard);
    const auto lock = made::hold(directory_ / "wallet.key");
    opener fresh(passphrase.copy());
    struct one {
        std::filesystem::path file;
        crypto::secret key;
    };
    std::vector<one> todo;
    std::size_t done = 0;
    for (const auto& file : made::k256_files(directory_)) {
        const auto text = read_secret(file);
        if (text.empty()) continue;
        if (!is_locked(text.view())) {
            todo.push_back({file, made_->opened(text, file)});
            continue;
        }
        const auto k = made::parsed(text, file);
        if (const auto already = fresh.open(k)) {
            how = k.argon2id, ++done; // by a run before this one
            continue;
        } else if (already.error().code != "wrong_passphrase") {
            return already.error();
        }
        const auto by = made_->passphrase();
        if (!by) return by.error();
        auto key = (*by)->open(k);
        if (!key) return refusal{key.error().code, file.string() + ": " + key.error().text};
        todo.push_back({file, std::move(*key)});
    }
    if (todo.empty() && done == 0) return refusal{"no_keys", "there is no key in " + directory_.string() + " yet: souk wallet new"};
    for (const auto& x : todo) {
        const auto text = fresh.lock(x.key, how);
        if (!text) return text.error();
        const auto k = read_locked_key(*text);
        const auto back = k ? fresh.open(*k) : result<crypto::secret>(k.error());
        if (!back || back->view() != x.key.view()) return refusal{"bad_key_file", "what would be written could not be read again: nothing was"};
        tls::write_secret(x.file, *text);
    }
    made_->pass.emplace(std::move(fresh));
    return todo.size();
}

keyring::keyring(std::filesystem::path directory, passphrase_source source) : directory_(std::move(directory)), made_(std::make_shared<made>()) {
    made_->source = std::move(source);
    if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
    if (directory_.has_parent_path()) std::filesystem::create_directories(directory_.parent_path());
    if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) refuse(directory_, std::strerror(errno));
    struct stat is{};
    if (::stat(directory_.c_str(), &is) != 0 || !S_ISDIR(is.st_mode)) refuse(directory_, "it is no directory");
    check_ours(is, directory_, "chmod 700");
}

const crypto::secret& keyring::signing() const { return made_->need_signing(directory_), *made_->signing; }
crypto::public_key keyring::signing_public() const { return made_->need_signing(directory_), made_->signing_public; }
const crypto::secret& keyring::rotation() const { return made_->need_rotation(directory_), *made_->rotation; }
crypto::public_key keyring::rotation_public() const { return made_->need_rotation(directory_), made_->rotation_public; }
const crypto::seal_pair& keyring::seal() const { return made_->need_seal(directory_), *made_->seal; }
const crypto::secret& keyring::wallet() const { return made_->need_wallet(directory_), *made_->wallet; }
crypto::address keyring::wallet_address() const { return made_->address_of_wallet(directory_); }
crypto::secret keyring::settling(std::size_t which) const {
    const std::lock_guard mine(made_->guard);
    return made_->load_k256(directory_ / ("settling-" + std::to_string(which) + ".key"));
}
const jwt::rsa_key& keyring::issuer() const { return made_->need_issuer(directory_), *made_->issuer; }
std::filesystem::path keyring::ssh_private() const { return made_->need_ssh(directory_), directory_ / "ssh_ed25519"; }
std::string keyring::ssh_public() const { return made_->need_ssh(directory_), made_->ssh_public; }

} // namespace souk
