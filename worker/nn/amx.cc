#include "worker/nn/amx.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace likeness::amx {

using c10::BFloat16;

void PackTransposed(const BFloat16* from, int64_t row, int64_t rows, int64_t width, BFloat16* to) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < width; j += 2) {
      std::memcpy(to + j * kColumns + 2 * i, from + i * row + j, 2 * sizeof(BFloat16));
    }
  }
}

void Pack(const BFloat16* from, int64_t row, int64_t rows, int64_t columns, BFloat16* to) {
  for (int64_t i = 0; i < rows; ++i) {
    const BFloat16* numbers = from + i * row;
    BFloat16* pairs = to + i / 2 * 2 * kColumns + i % 2;
    for (int64_t j = 0; j < columns; ++j) pairs[2 * j] = numbers[j];
  }
}

#if defined(__x86_64__)

// NOLINTBEGIN(portability-simd-intrinsics): there is no other way to these instructions.
// GCC takes what its own header leaves undefined on purpose for a mistake (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define LIKENESS_BFLOAT16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define LIKENESS_TILES __attribute__((target("amx-tile,amx-bf16")))

namespace {

constexpr int64_t kLanes = 16;

inline __mmask16 MaskOf(int64_t left) {
  return left >= kLanes ? 0xFFFF : static_cast<__mmask16>((1U << std::max<int64_t>(left, 0)) - 1);
}

// 2^x to 2.6e-6 of it, which is lost in the rounding to bfloat16. NaN stays NaN.
LIKENESS_BFLOAT16 inline __m512 Exp2(__m512 x) {
  constexpr int kAboveFloor = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  const __m512 part = _mm512_reduce_ps(x, kAboveFloor);
  __m512 y = _mm512_set1_ps(1.353417E-2F);
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(5.201147E-2F));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(2.4144275E-1F));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(6.9300384E-1F));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.0000026F));
  return _mm512_scalef_ps(y, x);  // by its floor
}

LIKENESS_BFLOAT16 inline __m256i Rounded(__m512 x) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
}

bool AskProcessorAndSystem() {
  // The system call asks for room for the tiles when threads are switched.
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  constexpr unsigned kAmxBf16 = 1U << 22, kAmxTile = 1U << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 &&
         (d & kAmxTile) != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512bf16") != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// The compiler does not know that the tiles' instructions read and write memory.
inline void MemoryIsSeen() { asm volatile("" ::: "memory"); }

constexpr int64_t kRowBytes = 64;

struct alignas(64) TileConfiguration {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {kRowBytes, kRowBytes, kRowBytes, kRowBytes,
                            kRowBytes, kRowBytes, kRowBytes, kRowBytes};
  uint8_t rows[16] = {kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
};

// One or two tiles of rows by one or two of columns.
template <bool kTwoDown, bool kTwoAcross>
LIKENESS_TILES inline void MultiplyBlock(int64_t k, Matrix<const BFloat16> left,
                                         const BFloat16* right, bool add, Matrix<float> to) {
  const int64_t to_row = to.stride * static_cast<int64_t>(sizeof(float)),
                left_row = left.stride * static_cast<int64_t>(sizeof(BFloat16));
  constexpr int64_t kRightRow = 2 * kColumns * static_cast<int64_t>(sizeof(BFloat16));
  float* below = to.data + kTile * to.stride;
  if (add) {
    _tile_loadd(0, to.data, to_row);
    if constexpr (kTwoAcross) _tile_loadd(1, to.data + kTile, to_row);
    if constexpr (kTwoDown) _tile_loadd(2, below, to_row);
    if constexpr (kTwoDown && kTwoAcross) _tile_loadd(3, below + kTile, to_row);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t i = 0; i < k; i += kTileLong) {
    const BFloat16* at = left.data + i;
    const BFloat16* pairs = right + i * kColumns;
    _tile_loadd(4, at, left_row);
    _tile_loadd(6, pairs, kRightRow);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTwoAcross) {
      _tile_loadd(7, pairs + 2 * kTile, kRightRow);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kTwoDown) {
      _tile_loadd(5, at + kTile * left.stride, left_row);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kTwoAcross) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, to.data, to_row);
  if constexpr (kTwoAcross) _tile_stored(1, to.data + kTile, to_row);
  if constexpr (kTwoDown) _tile_stored(2, below, to_row);
  if constexpr (kTwoDown && kTwoAcross) _tile_stored(3, below + kTile, to_row);
}

constexpr TileConfiguration kConfiguration;

LIKENESS_TILES void Configure() { _tile_loadconfig(&kConfiguration); }
LIKENESS_TILES void Release() { _tile_release(); }

}  // namespace

bool Supported() {
  static const bool supported = AskProcessorAndSystem();
  return supported;
}

Tiles::Tiles() { Configure(); }
Tiles::~Tiles() { Release(); }

LIKENESS_TILES void Multiply(int64_t m, int64_t n, int64_t k, Matrix<const BFloat16> left,
                             const BFloat16* right, int64_t block, bool add, Matrix<float> to) {
  MemoryIsSeen();
  for (int64_t j = 0; j < n; j += 2 * kTile) {
    const bool two_across = j + kTile < n;
    const BFloat16* columns = right + j / kColumns * block + j % kColumns * 2;
    for (int64_t i = 0; i < m; i += 2 * kTile) {
      const bool two_down = i + kTile < m;
      const Matrix<const BFloat16> rows{left.data + i * left.stride, left.stride};
      const Matrix<float> sums{to.data + i * to.stride + j, to.stride};
      if (two_down && two_across) {
        MultiplyBlock<true, true>(k, rows, columns, add, sums);
      } else if (two_down) {
        MultiplyBlock<true, false>(k, rows, columns, add, sums);
      } else if (two_across) {
        MultiplyBlock<false, true>(k, rows, columns, add, sums);
      } else {
        MultiplyBlock<false, false>(k, rows, columns, add, sums);
      }
    }
  }
  MemoryIsSeen();
}

LIKENESS_BFLOAT16 float Largest(const float* x, int64_t n) {
  const __m512 least = _mm512_set1_ps(-__builtin_inff());
  __m512 largest = least;
  for (int64_t i = 0; i < n; i += kLanes) {
    largest = _mm512_max_ps(largest, _mm512_mask_loadu_ps(least, MaskOf(n - i), x + i));
  }
  return _mm512_reduce_max_ps(largest);
}

LIKENESS_BFLOAT16 void Exponentials(int64_t m, int64_t n, Matrix<const float> x, float scale,
                                    const float* shifts, Matrix<BFloat16> y) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (int64_t i = 0; i < m; ++i) {
    const float* from = x.data + i * x.stride;
    BFloat16* to = y.data + i * y.stride;
    const __m512 shift = _mm512_set1_ps(shifts[i]);
    for (int64_t j = 0; j < n; j += 2 * kLanes) {
      __m512 low = Exp2(_mm512_fmsub_ps(_mm512_loadu_ps(from + j), factor, shift));
      __m512 high = Exp2(_mm512_fmsub_ps(_mm512_loadu_ps(from + j + kLanes), factor, shift));
      if (n - j < 2 * kLanes) {
        low = _mm512_maskz_mov_ps(MaskOf(n - j), low);
        high = _mm512_maskz_mov_ps(MaskOf(n - j - kLanes), high);
      }
      _mm512_storeu_si512(to + j, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
  }
}

namespace {

// Sixteen queries of one key.
LIKENESS_BFLOAT16 inline __m256i ScoreGradients(const ScoreRow& row, int64_t i, __m512 logs,
                                                __m512 means, __m512 scale, __m512 slope) {
  const __m512 weights = Exp2(_mm512_fmsub_ps(_mm512_loadu_ps(row.scores + i), scale, logs));
  const __m512 above = _mm512_sub_ps(_mm512_loadu_ps(row.gradients + i), means);
  const __m256i gradients = Rounded(_mm512_mul_ps(_mm512_mul_ps(weights, slope), above));
  _mm256_storeu_epi16(row.weights + i, Rounded(weights));
  _mm256_storeu_epi16(row.score_gradients + i, gradients);
  return gradients;
}

}  // namespace

LIKENESS_BFLOAT16 void ScoreGradients(const ScoreRow& first, const ScoreRow& second,
                                      const float* logs, const float* means, float scale, int64_t n,
                                      BFloat16* packed, int64_t block) {
  constexpr float kLn2 = 0.693147181F;
  const __m512 factor = _mm512_set1_ps(scale), slope = _mm512_set1_ps(scale * kLn2);
  for (int64_t i = 0; i < n; i += kLanes) {
    const __m512 log = _mm512_loadu_ps(logs + i), mean = _mm512_loadu_ps(means + i);
    const __m256i low = ScoreGradients(first, i, log, mean, factor, slope);
    const __m256i high = ScoreGradients(second, i, log, mean, factor, slope);
    const __m512i pairs = _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                                          _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
    _mm512_storeu_si512(packed + i / kColumns * block + i % kColumns * 2, pairs);
  }
}
#pragma GCC diagnostic pop
// NOLINTEND(portability-simd-intrinsics)

#else

bool Supported() { return false; }
Tiles::Tiles() { TORCH_INTERNAL_ASSERT(false); }
Tiles::~Tiles() = default;
void Multiply(int64_t, int64_t, int64_t, Matrix<const BFloat16>, const BFloat16*, int64_t, bool,
              Matrix<float>) {
  TORCH_INTERNAL_ASSERT(false);
}
float Largest(const float*, int64_t) { TORCH_INTERNAL_ASSERT(false); }
void Exponentials(int64_t, int64_t, Matrix<const float>, float, const float*, Matrix<BFloat16>) {
  TORCH_INTERNAL_ASSERT(false);
}
void ScoreGradients(const ScoreRow&, const ScoreRow&, const float*, const float*, float, int64_t,
                    BFloat16*, int64_t) {
  TORCH_INTERNAL_ASSERT(false);
}

#endif

}  // namespace likeness::amx
