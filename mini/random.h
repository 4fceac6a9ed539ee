// The random numbers of the picture world: the same on every compiler and library, unlike std::
// distributions.
#pragma once

#include <cstdint>

namespace likeness::mini {

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). A small value: copy it to replay it.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // A generator of its own for every (seed, stream) pair.
  Random(uint64_t seed, uint64_t stream) : state_(seed) { state_ = Next() ^ (stream * kGamma); }

  uint64_t Next() {
    uint64_t z = (state_ += kGamma);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // Uniform in [0, 1), 24 bits.
  float Uniform() { return static_cast<float>(Next() >> 40) * 0x1p-24f; }
  float Uniform(float low, float high) { return low + (high - low) * Uniform(); }
  // Uniform in 0 .. n - 1; n must be positive and far below 2^32.
  int Below(int n) { return static_cast<int>(((Next() >> 32) * static_cast<uint64_t>(n)) >> 32); }
  bool Chance(float probability) { return Uniform() < probability; }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15ULL;
  uint64_t state_;
};

}  // namespace likeness::mini
