#include "common/ids.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace likeness {
namespace {

// Drawn in advance: the generator costs much more per call than per byte.
class RandomPool {
 public:
  void Take(unsigned char* to, size_t count) {
    if (bytes_.size() < count) Fill(std::max(count, kBytes));
    const size_t left = bytes_.size() - count;
    std::memcpy(to, &bytes_[left], count);
    OPENSSL_cleanse(&bytes_[left], count);
    bytes_.resize(left);
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

thread_local RandomPool pool;

template <size_t count>
std::array<unsigned char, count> RandomBytes() {
  std::array<unsigned char, count> bytes;
  pool.Take(bytes.data(), count);
  return bytes;
}

// Writes the byte's two digits; where the next go.
char* WriteHex(unsigned char byte, char* to) {
  static constexpr char kDigits[] = "0123456789abcdef";
  *to++ = kDigits[byte >> 4];
  *to++ = kDigits[byte & 0x0F];
  return to;
}

}  // namespace

std::string RandomId(int length) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string id(static_cast<size_t>(length), ' ');
  for (int i = 0; i < length; ++i) {
    id[static_cast<size_t>(i)] = kAlphabet[RandomBytes<1>()[0] % (i == 0 ? 26 : 36)];
  }
  return id;
}

std::string RandomUuid() {
  auto bytes = RandomBytes<16>();
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);
  std::string uuid(36, '-');
  char* to = uuid.data();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++to;
    to = WriteHex(bytes[i], to);
  }
  return uuid;
}

std::string RandomSecret() {
  std::string secret(32, ' ');
  char* to = secret.data();
  for (const unsigned char byte : RandomBytes<16>()) to = WriteHex(byte, to);
  return secret;
}

uint32_t RandomSeed() {
  uint32_t seed = 0;
  for (const unsigned char byte : RandomBytes<4>()) seed = seed << 8 | byte;
  return seed;
}

}  // namespace likeness
