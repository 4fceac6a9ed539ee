// The transforms of Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, arXiv 1509.09308, section 4.1),
// with the points 0, 3/4, -3/4, 3/2, -3/2, and adjoints. Each works on columns: `from` and `to` are
// the first of `n` floats of the first column, the next column begins a stride behind.
#pragma once

#include <cstdint>

namespace likeness::winograd {

inline constexpr int64_t kOut = 4;            // pixels a side that a tile gives
inline constexpr int64_t kIn = kOut + 2;      // and that it sees
inline constexpr int64_t kSpots = kIn * kIn;  // of a transformed tile

// B^T d: six rows of pixels to six.
void ToSpots(const float* from, float* to, int64_t from_stride, int64_t to_stride, int64_t n);

// A^T m: six to four.
void ToPixels(const float* from, float* to, int64_t from_stride, int64_t to_stride, int64_t n);

// A y, the adjoint: four to six.
void FromPixels(const float* from, float* to, int64_t from_stride, int64_t to_stride, int64_t n);

// G g: three to six.
void WeightToSpots(const float* from, float* to, int64_t from_stride, int64_t to_stride, int64_t n);

// G^T u, the adjoint: six to three.
void SpotsToWeight(const float* from, float* to, int64_t from_stride, int64_t to_stride, int64_t n);

using Transform = void (*)(const float*, float*, int64_t, int64_t, int64_t);

// Both ways over a tile: `from` is [rows_in][rows_in][n], `to` [rows_out][rows_out] of n floats
// that are `stride` apart. `half` holds rows_out * rows_in * n.
void Twice(Transform transform, int64_t rows_in, int64_t rows_out, const float* from,
           int64_t from_stride, float* half, float* to, int64_t to_stride, int64_t n);

}  // namespace likeness::winograd
