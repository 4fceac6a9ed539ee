#include "server/jobs/sqlite/page_sum.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace likeness::server {
namespace {

void AddOneByOne(Sum& sum, const unsigned char* bytes, int size, bool big_endian) {
  uint32_t first = sum.first;
  uint32_t second = sum.second;
  for (int i = 0; i < size; i += 8) {
    uint32_t words[2];
    std::memcpy(words, bytes + i, sizeof(words));
    if (big_endian) words[0] = BigEndian(bytes + i), words[1] = BigEndian(bytes + i + 4);
    first += words[0] + second;
    second += words[1] + first;
  }
  sum = {first, second};
}

#if defined(__x86_64__)

// One by one, each addition waits for the one before. But the two sums go on like Fibonacci's
// numbers, a[k + 2] = a[k] + a[k + 1] + word[k], and so after n words are
//   first = F(n - 1) first + F(n) second + sum of F(n - 1 - k) word[k]
//   second = F(n) first + F(n + 1) second + sum of F(n - k) word[k],
// whose terms are independent of each other: eight of them at a time.
constexpr int kMaxWords = (64 << 10) / 4;

// F(kMaxWords), ..., F(1), F(0), modulo 2^32.
const std::array<uint32_t, kMaxWords + 1>& Fibonacci() {
  static const auto numbers = [] {
    std::array<uint32_t, kMaxWords + 1> made = {};
    made[kMaxWords - 1] = 1;
    for (int i = kMaxWords - 2; i >= 0; --i) made[i] = made[i + 1] + made[i + 2];
    return made;
  }();
  return numbers;
}

__attribute__((target("avx2"))) uint32_t Total(__m256i lanes) {
  uint32_t each[8];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(each), lanes);
  uint32_t total = 0;
  for (const uint32_t lane : each) total += lane;
  return total;
}

__attribute__((target("avx2"))) __m256i Eight(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// `size` is a multiple of 32.
__attribute__((target("avx2"))) void AddEightAtATime(Sum& sum, const unsigned char* bytes,
                                                     int size) {
  const int words = size / 4;
  const uint32_t* const weights = Fibonacci().data() + (kMaxWords - words);  // F(n), F(n - 1), ...
  __m256i first = _mm256_setzero_si256();
  __m256i second = first;
  for (int k = 0; k < words; k += 8) {
    const __m256i word = Eight(bytes + 4 * k);
    first = _mm256_add_epi32(first, _mm256_mullo_epi32(word, Eight(weights + k + 1)));
    second = _mm256_add_epi32(second, _mm256_mullo_epi32(word, Eight(weights + k)));
  }
  const uint32_t f = weights[0];
  const uint32_t before = weights[1];
  sum = {before * sum.first + f * sum.second + Total(first),
         f * sum.first + (f + before) * sum.second + Total(second)};
}

#endif

}  // namespace

void Sum::Add(const unsigned char* bytes, int size, bool big_endian) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  if (const int most = size - size % 32; wide && !big_endian && most > 0) {
    AddEightAtATime(*this, bytes, most);
    bytes += most;
    size -= most;
  }
#endif
  AddOneByOne(*this, bytes, size, big_endian);
}

void Sum::Write(unsigned char* to) const {
  std::memcpy(to, &first, 4);
  std::memcpy(to + 4, &second, 4);
}

Sum Sum::OfLog(const unsigned char* from) { return {BigEndian(from), BigEndian(from + 4)}; }

uint32_t BigEndian(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

}  // namespace likeness::server
