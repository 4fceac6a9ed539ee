#include "worker/nn/winograd_transforms.h"

// Compiled for each of these, and chosen when the program starts.
#define LIKENESS_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))

namespace likeness::winograd {

LIKENESS_VECTORS void ToSpots(const float* __restrict from, float* __restrict to,
                              int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float d0 = from[j], d1 = from[j + from_stride], d2 = from[j + 2 * from_stride],
                d3 = from[j + 3 * from_stride], d4 = from[j + 4 * from_stride],
                d5 = from[j + 5 * from_stride];
    const float even = d4 - 4 * d2, odd = d3 - 4 * d1, wide = d4 - d2, tall = 2 * (d3 - d1);
    to[j] = 4 * d0 - 5 * d2 + d4;
    to[j + to_stride] = even + odd;
    to[j + 2 * to_stride] = even - odd;
    to[j + 3 * to_stride] = wide + tall;
    to[j + 4 * to_stride] = wide - tall;
    to[j + 5 * to_stride] = 4 * d1 - 5 * d3 + d5;
  }
}

LIKENESS_VECTORS void ToPixels(const float* __restrict from, float* __restrict to,
                               int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float m0 = from[j], m1 = from[j + from_stride], m2 = from[j + 2 * from_stride],
                m3 = from[j + 3 * from_stride], m4 = from[j + 4 * from_stride],
                m5 = from[j + 5 * from_stride];
    const float sum12 = m1 + m2, difference12 = m1 - m2, sum34 = m3 + m4, difference34 = m3 - m4;
    to[j] = m0 + sum12 + sum34;
    to[j + to_stride] = difference12 + 2 * difference34;
    to[j + 2 * to_stride] = sum12 + 4 * sum34;
    to[j + 3 * to_stride] = difference12 + 8 * difference34 + m5;
  }
}

LIKENESS_VECTORS void FromPixels(const float* __restrict from, float* __restrict to,
                                 int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float y0 = from[j], y1 = from[j + from_stride], y2 = from[j + 2 * from_stride],
                y3 = from[j + 3 * from_stride];
    const float even = y0 + y2, odd = y1 + y3, even4 = y0 + 4 * y2, odd4 = 2 * y1 + 8 * y3;
    to[j] = y0;
    to[j + to_stride] = even + odd;
    to[j + 2 * to_stride] = even - odd;
    to[j + 3 * to_stride] = even4 + odd4;
    to[j + 4 * to_stride] = even4 - odd4;
    to[j + 5 * to_stride] = y3;
  }
}

LIKENESS_VECTORS void WeightToSpots(const float* __restrict from, float* __restrict to,
                                    int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float g0 = from[j], g1 = from[j + from_stride], g2 = from[j + 2 * from_stride];
    const float outer = (g0 + g2) * (1.0F / 6), outer4 = (g0 + 4 * g2) * (1.0F / 24);
    to[j] = g0 * 0.25F;
    to[j + to_stride] = -outer - g1 * (1.0F / 6);
    to[j + 2 * to_stride] = g1 * (1.0F / 6) - outer;
    to[j + 3 * to_stride] = outer4 + g1 * (1.0F / 12);
    to[j + 4 * to_stride] = outer4 - g1 * (1.0F / 12);
    to[j + 5 * to_stride] = g2;
  }
}

LIKENESS_VECTORS void SpotsToWeight(const float* __restrict from, float* __restrict to,
                                    int64_t from_stride, int64_t to_stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float u0 = from[j], u1 = from[j + from_stride], u2 = from[j + 2 * from_stride],
                u3 = from[j + 3 * from_stride], u4 = from[j + 4 * from_stride],
                u5 = from[j + 5 * from_stride];
    const float sum12 = (u1 + u2) * (1.0F / 6), sum34 = (u3 + u4) * (1.0F / 24);
    to[j] = u0 * 0.25F - sum12 + sum34;
    to[j + to_stride] = (u2 - u1) * (1.0F / 6) + (u3 - u4) * (1.0F / 12);
    to[j + 2 * to_stride] = 4 * sum34 - sum12 + u5;
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
