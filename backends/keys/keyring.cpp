#include <souk/backends/keys/keyring.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

[[noreturn]] void refuse(const std::filesystem::path& what, const std::string& why) {
    throw std::runtime_error("cannot use the key in " + what.string() + ": " + why);
}

class descriptor {
public:
    explicit descriptor(int fd) : fd_(fd) {}
    descriptor(const descriptor&) = delete;
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

} // namespace

struct keyring::made {
    std::mutex guard;
    std::optional<crypto::secret> signing, rotation, wallet;
    std::optional<crypto::seal_pair> seal;
    std::optional<jwt::rsa_key> issuer;
    std::string ssh_public;
    crypto::public_key signing_public, rotation_public;
    crypto::address wallet_address;

    // The file's text; made by `make` when there is none yet. Two processes that start at once make one key.
    template <class Make>
    static crypto::secret load(const std::filesystem::path& file, Make make) {
        const descriptor lock(::open((file.parent_path() / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (lock < 0 || ::flock(lock, LOCK_EX) != 0) refuse(file, std::strerror(errno));
        if (auto there = read_secret(file); !there.empty()) return there;
        const crypto::secret fresh = make();
        tls::write_secret(file, fresh.view());
        return read_secret(file);
    }
    static crypto::secret load_k256(const std::filesystem::path& file) {
        return from_hex_text(load(file, [] { return hex_of(crypto::generate(crypto::curve::k256).view()); }), 32, file);
    }
    static crypto::public_key public_of(const crypto::secret& key, const std::filesystem::path& file) {
        auto open = crypto::public_of(crypto::curve::k256, key);
        if (!open) refuse(file, open.error().text);
        return std::move(*open);
    }
    void need_signing(const std::filesystem::path& in) {
        const std::lock_guard hold(guard);
        if (signing) return;
        auto key = load_k256(in / "signing.key");
        signing_public = public_of(key, in / "signing.key");
        signing = std::move(key);
    }
    void need_rotation(const std::filesystem::path& in) {
        const std::lock_guard hold(guard);
        if (rotation) return;
        auto key = load_k256(in / "rotation.key");
        rotation_public = public_of(key, in / "rotation.key");
        rotation = std::move(key);
    }
    void need_wallet(const std::filesystem::path& in) {
        const std::lock_guard hold(guard);
        if (wallet) return;
        auto key = load_k256(in / "wallet.key");
        auto address = crypto::address_of(key);
        if (!address) refuse(in / "wallet.key", address.error().text);
        wallet_address = std::move(*address);
        wallet = std::move(key);
    }
    void need_seal(const std::filesystem::path& in) {
        const std::lock_guard hold(guard);
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
        const std::lock_guard hold(guard);
        if (issuer) return;
        const auto pem = load(in / "issuer.pem", [] { return crypto::secret(jwt::rsa_key::generate().pem); });
        issuer = jwt::rsa_key{std::string(pem.view())};
    }
    void need_ssh(const std::filesystem::path& in) {
        const std::lock_guard hold(guard);
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
    return made::public_of(from_hex_text(line, 32, file), file);
}
crypto::public_key keyring::prepare_next_signing() const {
    (void)signing(); // there is one to follow
    const auto file = directory_ / "signing.next";
    return made::public_of(made::load_k256(file), file);
}
// The old one is listed before the new one takes its place: whatever happens in between, nothing is lost.
void keyring::put_next_in_force() const {
    const auto next = directory_ / "signing.next", now = directory_ / "signing.key", list = directory_ / "retired";
    const auto fresh = read_secret(next);
    if (fresh.empty()) refuse(next, "there is none");
    const auto old = made::public_of(made::load_k256(now), now);
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

keyring::keyring(std::filesystem::path directory) : directory_(std::move(directory)), made_(std::make_shared<made>()) {
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
crypto::address keyring::wallet_address() const { return made_->need_wallet(directory_), made_->wallet_address; }
const jwt::rsa_key& keyring::issuer() const { return made_->need_issuer(directory_), *made_->issuer; }
std::filesystem::path keyring::ssh_private() const { return made_->need_ssh(directory_), directory_ / "ssh_ed25519"; }
std::string keyring::ssh_public() const { return made_->need_ssh(directory_), made_->ssh_public; }

} // namespace souk
