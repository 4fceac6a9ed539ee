#include "common/ids.h"

#include <openssl/rand.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace likeness {
namespace {

std::string RandomBytes(int count) {
  std::string bytes(count, '\0');
  // Fails only when the system has no randomness at all; going on would hand out guessable tokens.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), count) != 1) std::abort();
  return bytes;
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
