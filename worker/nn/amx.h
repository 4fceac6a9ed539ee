// What amx_attention.cc is made of: matrix products in bfloat16 by the instructions that Intel
// calls AMX, and what is done to rows of numbers between them, by AVX-512. Only where Supported().
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace likeness::amx {

// Columns that the right side of a product is cut into. A packed block of n rows is
// [n / 2][kColumns][2]: the numbers of two rows side by side, as the instructions want them.
inline constexpr int64_t kColumns = 64;

// Rows of a tile, which are also the numbers of a row of sums; and numbers of a row in bfloat16.
inline constexpr int64_t kTile = 16, kTileLong = 32;

// Whether this processor has the instructions of all below, and the system lets the process use
// them.
bool Supported();

// While one lives, this thread may multiply.
class Tiles {
 public:
  Tiles();
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// Rows of a matrix, `stride` numbers apart. What is multiplied begins with a cache line, as do its
// rows: operands that lie across two take four times as long.
template <typename T>
struct Matrix {
  T* data;
  int64_t stride;
};

// to [m, n] = left [m, k] by right [k, n], packed, its blocks of kColumns columns `block` numbers
// apart; or that added to it. m and n: multiples of 16; k: of 32.
void Multiply(int64_t m, int64_t n, int64_t k, Matrix<const c10::BFloat16> left,
              const c10::BFloat16* right, int64_t block, bool add, Matrix<float> to);

// From [rows, width], `row` apart, rows <= kColumns, its transpose as a packed block of `width`
// rows. Columns from `rows` on are not written.
void PackTransposed(const c10::BFloat16* from, int64_t row, int64_t rows, int64_t width,
                    c10::BFloat16* to);

// From [rows, columns], `row` apart, columns <= kColumns, a packed block. What would pair a last
// odd row, and columns from `columns` on are not written.
void Pack(const c10::BFloat16* from, int64_t row, int64_t rows, int64_t columns, c10::BFloat16* to);

// The largest of n numbers; a NaN may be passed over.
float Largest(const float* x, int64_t n);

// y = 2^(scale x - shift of the row), 0 from n on. Rows of x and y have room for n rounded up
// to 32.
void Exponentials(int64_t m, int64_t n, Matrix<const float> x, float scale, const float* shifts,
                  Matrix<c10::BFloat16> y);

// What the gradient of attention needs of the scores of a key with all queries.
struct ScoreRow {
  const float* scores;             // before they are scaled
  const float* gradients;          // of the weights
  c10::BFloat16* weights;          // given back
  c10::BFloat16* score_gradients;  // given back
};

// For two keys and n queries, a multiple of kColumns: weights = 2^(scale scores - logs), and the
// gradients of the unscaled scores, weights (gradients - means) scale ln 2. The latter also as two
// rows of packed blocks that are `block` numbers apart.
void ScoreGradients(const ScoreRow& first, const ScoreRow& second, const float* logs,
                    const float* means, float scale, int64_t n, c10::BFloat16* packed,
                    int64_t block);

}  // namespace likeness::amx
