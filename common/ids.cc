#include "common/ids.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace likeness {
namespace {

// Drawn in advance: the generator costs much more per call than per byte.
class RandomPool {
 public:
  std::string Take(size_t count) {
    if (bytes_.size() < count) Fill(std::max(count, kBytes));
    std::string taken = bytes_.substr(bytes_.size() - count);
    OPENSSL_cleanse(&bytes_[bytes_.size() - count], count);
    bytes_.resize(bytes_.size() - count);
    return taken;
  }

 private:
  static constexpr size_t kBytes = 1024;

  void Fill(size_t count) {
    bytes_.resize(count);
    // Fails only when the system has no randomness at all; going on would hand out guessable
    // tokens.
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes_.data()), static_cast<int>(count)) != 1) {
      std::abort();
    }
  }

  std::string bytes_;
};

std::string RandomBytes(int count) {
  thread_local RandomPool pool;
  return pool.Take(static_cast<size_t>(count));
}

}  // namespace

std::string RandomId(int length) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string id = RandomBytes(length);
  for (int i = 0; i < length; ++i) {
    id[i] = kAlphabet[static_cast<unsigned char>(id[i]) % (i == 0 ? 26 : 36)];
  }
  return id;
}

std::string RandomUuid() {
  std::string bytes = RandomBytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  std::string hex = absl::BytesToHexString(bytes);
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

std::string RandomSecret() { return absl::BytesToHexString(RandomBytes(16)); }

uint32_t RandomSeed() {
  uint32_t seed = 0;
  for (char byte : RandomBytes(4)) seed = seed << 8 | static_cast<unsigned char>(byte);
  return seed;
}

}  // namespace likeness
