#include "worker/nn/winograd_transforms.h"

// Compiled for each of these, and chosen when the program starts.
#define LIKENESS_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))

namespace likeness::winograd {
namespace {

// The points are 0, a, -a, b, -b and infinity. With 1 and 2, the usual choice, the error in float32
// is twice as large on average, and four times at the worst element.
constexpr float kA = 0.75F, kB = 1.5F;
constexpr float kA2 = kA * kA, kB2 = kB * kB;
constexpr float kSum = kA2 + kB2, kProduct = kA2 * kB2;
constexpr float kAtZero = 1 / kProduct;
constexpr float kAtA = 1 / (2 * kA2 * (kA2 - kB2)), kAtB = 1 / (2 * kB2 * (kB2 - kA2));

}  // namespace

LIKENESS_VECTORS void ToSpots(const float* __restrict from, float* __restrict to,
                              int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float d0 = from[j], d1 = from[j + from_stride], d2 = from[j + 2 * from_stride],
                d3 = from[j + 3 * from_stride], d4 = from[j + 4 * from_stride],
                d5 = from[j + 5 * from_stride];
    const float even_a = d4 - kB2 * d2, odd_a = d3 - kB2 * d1;
    const float even_b = d4 - kA2 * d2, odd_b = d3 - kA2 * d1;
    to[j] = kProduct * d0 - kSum * d2 + d4;
    to[j + to_stride] = even_a + kA * odd_a;
    to[j + 2 * to_stride] = even_a - kA * odd_a;
    to[j + 3 * to_stride] = even_b + kB * odd_b;
    to[j + 4 * to_stride] = even_b - kB * odd_b;
    to[j + 5 * to_stride] = kProduct * d1 - kSum * d3 + d5;
  }
}

LIKENESS_VECTORS void ToPixels(const float* __restrict from, float* __restrict to,
                               int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float m0 = from[j], m1 = from[j + from_stride], m2 = from[j + 2 * from_stride],
                m3 = from[j + 3 * from_stride], m4 = from[j + 4 * from_stride],
                m5 = from[j + 5 * from_stride];
    const float even_a = m1 + m2, odd_a = kA * (m1 - m2);
    const float even_b = m3 + m4, odd_b = kB * (m3 - m4);
    to[j] = m0 + even_a + even_b;
    to[j + to_stride] = odd_a + odd_b;
    to[j + 2 * to_stride] = kA2 * even_a + kB2 * even_b;
    to[j + 3 * to_stride] = kA2 * odd_a + kB2 * odd_b + m5;
  }
}

LIKENESS_VECTORS void FromPixels(const float* __restrict from, float* __restrict to,
                                 int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float y0 = from[j], y1 = from[j + from_stride], y2 = from[j + 2 * from_stride],
                y3 = from[j + 3 * from_stride];
    const float even_a = y0 + kA2 * y2, odd_a = kA * (y1 + kA2 * y3);
    const float even_b = y0 + kB2 * y2, odd_b = kB * (y1 + kB2 * y3);
    to[j] = y0;
    to[j + to_stride] = even_a + odd_a;
    to[j + 2 * to_stride] = even_a - odd_a;
    to[j + 3 * to_stride] = even_b + odd_b;
    to[j + 4 * to_stride] = even_b - odd_b;
    to[j + 5 * to_stride] = y3;
  }
}

LIKENESS_VECTORS void WeightToSpots(const float* __restrict from, float* __restrict to,
                                    int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float g0 = from[j], g1 = from[j + from_stride], g2 = from[j + 2 * from_stride];
    const float even_a = g0 + kA2 * g2, odd_a = kA * g1;
    const float even_b = g0 + kB2 * g2, odd_b = kB * g1;
    to[j] = kAtZero * g0;
    to[j + to_stride] = kAtA * (even_a + odd_a);
    to[j + 2 * to_stride] = kAtA * (even_a - odd_a);
    to[j + 3 * to_stride] = kAtB * (even_b + odd_b);
    to[j + 4 * to_stride] = kAtB * (even_b - odd_b);
    to[j + 5 * to_stride] = g2;
  }
}

LIKENESS_VECTORS void SpotsToWeight(const float* __restrict from, float* __restrict to,
                                    int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float u0 = from[j], u1 = from[j + from_stride], u2 = from[j + 2 * from_stride],
                u3 = from[j + 3 * from_stride], u4 = from[j + 4 * from_stride],
                u5 = from[j + 5 * from_stride];
    const float even_a = kAtA * (u1 + u2), odd_a = kAtA * (u1 - u2);
    const float even_b = kAtB * (u3 + u4), odd_b = kAtB * (u3 - u4);
    to[j] = kAtZero * u0 + even_a + even_b;
    to[j + to_stride] = kA * odd_a + kB * odd_b;
    to[j + 2 * to_stride] = kA2 * even_a + kB2 * even_b + u5;
  }
}

void Twice(Transform transform, int64_t rows_in, int64_t rows_out, const float* from,
           int64_t from_stride, float* half, float* to, int64_t to_stride, int64_t n) {
  for (int64_t k = 0; k < rows_in; ++k) {  // down
    transform(from + k * from_stride, half + k * n, rows_in * from_stride, rows_in * n, n);
  }
  for (int64_t a = 0; a < rows_out; ++a) {  // across
    transform(half + a * rows_in * n, to + a * rows_out * to_stride, n, to_stride, n);
  }
}

}  // namespace likeness::winograd
