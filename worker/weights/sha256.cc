#include "worker/weights/sha256.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "worker/weights/mapped_file.h"

namespace likeness {
namespace {

constexpr size_t kBlockBytes = 64;

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using State = std::array<uint32_t, 8>;

// Section 6.2.2.
void Compress(State& state, const char* block) {
  uint32_t w[64];
  std::memcpy(w, block, kBlockBytes);
  for (int t = 0; t < 16; ++t) w[t] = __builtin_bswap32(w[t]);
  for (int t = 16; t < 64; ++t) {
    const uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
    const uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (int t = 0; t < 64; ++t) {
    const uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + kRoundConstants[t] + w[t];
    const uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const State round = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < state.size(); ++i) state[i] += round[i];
}

// What is left of the message, a 1 bit, zeros, and the message's length in bits: section 5.1.1.
std::string PaddedTail(std::string_view tail, uint64_t message_bytes) {
  std::string padded(tail);
  padded.push_back('\x80');
  while (padded.size() % kBlockBytes != kBlockBytes - sizeof(uint64_t)) padded.push_back('\0');
  const uint64_t bits = __builtin_bswap64(8 * message_bytes);
  padded.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  return padded;
}

std::string Hex(const State& state) {
  std::string text;
  for (const uint32_t word : state) {
    for (int shift = 28; shift >= 0; shift -= 4) {
      text.push_back("0123456789abcdef"[(word >> shift) & 0xf]);
    }
  }
  return text;
}

}  // namespace

std::string Sha256OfBytes(std::string_view bytes) {
  State state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const size_t whole = bytes.size() - bytes.size() % kBlockBytes;
  for (size_t at = 0; at < whole; at += kBlockBytes) Compress(state, bytes.data() + at);
  const std::string tail = PaddedTail(bytes.substr(whole), bytes.size());
  for (size_t at = 0; at < tail.size(); at += kBlockBytes) Compress(state, tail.data() + at);
  return Hex(state);
}

std::string Sha256OfFile(const std::filesystem::path& path) {
  return Sha256OfBytes(MappedFile(path).bytes());
}

}  // namespace likeness
