#include "worker/nn/amx_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "worker/nn/amx.h"

namespace likeness {
namespace {

using namespace amx;
using at::BFloat16;

constexpr float kLog2E = 1.44269504F;

int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Numbers that begin with a cache line, all zero at first.
template <typename T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* data, size_t) { ::operator delete(data, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};
template <typename T>
using Numbers = std::vector<T, LineAllocator<T>>;

// Rows that do not all begin in the same set of the cache.
template <typename T>
class Buffer {
 public:
  Buffer(int64_t rows, int64_t columns)
      : stride_(RoundUp(columns, kTileLong) + kTileLong), numbers_(rows * stride_) {}

  T* Row(int64_t i) { return numbers_.data() + i * stride_; }
  const T* Row(int64_t i) const { return numbers_.data() + i * stride_; }
  // From a column on.
  Matrix<T> From(int64_t column) { return {Row(0) + column, stride_}; }
  Matrix<const T> From(int64_t column) const { return {Row(0) + column, stride_}; }

 private:
  int64_t stride_;
  Numbers<T> numbers_;
};

// One head of [B, T, heads * width].
struct Head {
  BFloat16* data;
  int64_t rows, width;
  int64_t stride;  // from a row to the next

  BFloat16* Row(int64_t i) const { return data + i * stride; }
};

// `index`: over all heads of all pictures.
Head HeadOf(const torch::Tensor& x_BTD, int64_t heads, int64_t index) {
  const int64_t width = x_BTD.size(2) / heads;
  return {x_BTD.data_ptr<BFloat16>() + index / heads * x_BTD.stride(0) + index % heads * width,
          x_BTD.size(1), width, x_BTD.stride(1)};
}

// `count` rows from `first` on; zeros stand in the columns beyond the width.
void CopyRows(const Head& from, int64_t first, int64_t count, Buffer<BFloat16>& to) {
  for (int64_t i = 0; i < count; ++i) std::copy_n(from.Row(first + i), from.width, to.Row(i));
}

// Rows as the right side of products that sum over their width. Rows and columns beyond the last
// are zero.
class Transposed {
 public:
  explicit Transposed(const Head& head)
      : width_(RoundUp(head.width, kTileLong)), numbers_(RoundUp(head.rows, kColumns) * width_) {
    for (int64_t i = 0; i < head.rows; i += kColumns) {
      PackTransposed(head.Row(i), head.stride, std::min(kColumns, head.rows - i), head.width,
                     numbers_.data() + i * width_);
    }
  }

  // to [m, n] = left [m, width] by n of the rows; first: a multiple of kColumns.
  void MultiplyFromLeft(const Buffer<BFloat16>& left, int64_t m, int64_t first, int64_t n,
                        Buffer<float>& to) const {
    Multiply(RoundUp(m, kTile), RoundUp(n, kTile), width_, left.From(0),
             numbers_.data() + first * width_, width_ * kColumns, /*add=*/false, to.From(0));
  }

 private:
  int64_t width_;
  Numbers<BFloat16> numbers_;
};

// Rows as the right side of products that sum over them, and after their columns perhaps a column
// of ones. Rows and columns beyond the last are zero.
class Packed {
 public:
  explicit Packed(const Head& head, bool with_ones = false)
      : rows_(RoundUp(head.rows, kColumns)),
        width_(head.width + (with_ones ? 1 : 0)),
        numbers_(rows_ * RoundUp(width_, kColumns)) {
    for (int64_t j = 0; j < head.width; j += kColumns) {
      Pack(head.data + j, head.stride, head.rows, std::min(kColumns, head.width - j),
           numbers_.data() + j * rows_);
    }
    if (!with_ones) return;
    const std::vector<BFloat16> ones(head.rows, BFloat16(1));
    Pack(ones.data(), 1, head.rows, 1,
         numbers_.data() + head.width / kColumns * kColumns * rows_ + head.width % kColumns * 2);
  }

  // to [m, width] = left [m, n] by n of the rows, or that added to it; first: a multiple of
  // kTileLong.
  void MultiplyFromLeft(const Buffer<BFloat16>& left, int64_t m, int64_t first, int64_t n, bool add,
                        Buffer<float>& to) const {
    Multiply(RoundUp(m, kTile), RoundUp(width_, kTile), RoundUp(n, kTileLong), left.From(0),
             numbers_.data() + first * kColumns, rows_ * kColumns, add, to.From(0));
  }

 private:
  int64_t rows_, width_;
  Numbers<BFloat16> numbers_;
};

void Round(const float* from, int64_t n, float factor, BFloat16* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i] * factor;
}

float ScaleOf(const Head& q) { return kLog2E / std::sqrt(static_cast<float>(q.width)); }

// The keys and values of one head.
struct Context {
  Context(const Head& k, const Head& v) : rows(k.rows), keys(k), values(v, /*with_ones=*/true) {}

  int64_t rows;
  Transposed keys;
  Packed values;
};

// The values of one head mixed for kRows queries at a time.
class AttentionForward {
 public:
  static constexpr int64_t kRows = 32;

  explicit AttentionForward(int64_t width)
      : width_(width), queries_(kRows, width), mixed_(kRows, width + 1) {}

  // For the queries from `first` on. `logs`: for each, the logarithm of its sum of exponentials, to
  // the base 2.
  void Run(const Head& q, const Context& context, int64_t first, const Head& mixed, float* logs) {
    rows_ = std::min(kRows, q.rows - first);
    scale_ = ScaleOf(q);
    CopyRows(q, first, rows_, queries_);
    // Exponentials are shifted by the largest of a query's first scores, which costs less than to
    // look for the largest of all. Only where a later one is larger by far is that looked for.
    FindShifts(context, std::min(kScores, context.rows));
    if (!Mix(context)) {
      FindShifts(context, context.rows);
      Mix(context);
    }
    for (int64_t i = 0; i < rows_; ++i) {
      // What the weights, rounded, add up to: their sum with the column of ones.
      const float total = mixed_.Row(i)[width_];
      Round(mixed_.Row(i), width_, 1 / total, mixed.Row(first + i));
      logs[first + i] = shifts_[i] + std::log2(total);
    }
  }

 private:
  static constexpr int64_t kScores = 128;
  // Far from where the sums in float32 end.
  static constexpr float kMost = 0x1p64F;

  // From the first `count` keys.
  void FindShifts(const Context& context, int64_t count) {
    shifts_.fill(-std::numeric_limits<float>::infinity());
    for (int64_t key = 0; key < count; key += kScores) {
      const int64_t n = std::min(kScores, count - key);
      context.keys.MultiplyFromLeft(queries_, rows_, key, n, scores_);
      for (int64_t i = 0; i < rows_; ++i) {
        shifts_[i] = std::max(shifts_[i], scale_ * Largest(scores_.Row(i), n));
      }
    }
  }

  // Whether the shifts were large enough.
  bool Mix(const Context& context) {
    for (int64_t key = 0; key < context.rows; key += kScores) {
      const int64_t n = std::min(kScores, context.rows - key);
      context.keys.MultiplyFromLeft(queries_, rows_, key, n, scores_);
      Exponentials(rows_, n, std::as_const(scores_).From(0), scale_, shifts_.data(),
                   weights_.From(0));
      context.values.MultiplyFromLeft(weights_, rows_, key, n, /*add=*/key > 0, mixed_);
    }
    for (int64_t i = 0; i < rows_; ++i) {
      if (!(mixed_.Row(i)[width_] < kMost)) return false;
    }
    return true;
  }

  int64_t width_, rows_ = 0;
  float scale_ = 0;
  std::array<float, kRows> shifts_{};
  Buffer<BFloat16> queries_, weights_{kRows, kScores};
  Buffer<float> scores_{kRows, kScores}, mixed_;
};

// The gradients of one head. `logs`: those of the forward pass.
// Scores stand transposed, [keys, queries], so that the gradients of keys and values are sums along
// their rows.
class AttentionBackward {
 public:
  AttentionBackward(const Head& q, const Head& k, const Head& v, const Head& mixed,
                    const Head& gradient, const float* logs)
      : q_(q),
        k_(k),
        v_(v),
        // Queries beyond the last have no weight.
        logs_(RoundUp(q.rows, kColumns), 1e30F),
        means_(logs_.size()),
        q_transposed_(q),
        gradient_transposed_(gradient),
        q_packed_(q),
        gradient_packed_(gradient),
        k_transposed_(RoundUp(q.width, kTile), RoundUp(k.rows, kTileLong)),
        of_q_(RoundUp(q.width, kTile), RoundUp(q.rows, kColumns)) {
    std::copy_n(logs, q.rows, logs_.begin());
    for (int64_t i = 0; i < q.rows; ++i) {
      for (int64_t j = 0; j < q.width; ++j) {
        means_[i] += static_cast<float>(gradient.Row(i)[j]) * static_cast<float>(mixed.Row(i)[j]);
      }
    }
    for (int64_t i = 0; i < k.rows; ++i) {
      for (int64_t j = 0; j < k.width; ++j) k_transposed_.Row(j)[i] = k.Row(i)[j];
    }
  }

  void Run(const Head& of_q, const Head& of_k, const Head& of_v) {
    for (int64_t key = 0; key < k_.rows; key += kKeys) {
      const int64_t m = std::min(kKeys, k_.rows - key);
      CopyRows(k_, key, m, k_rows_);
      CopyRows(v_, key, m, v_rows_);
      for (int64_t query = 0; query < q_.rows; query += kQueries) AddBlock(key, m, query);
      for (int64_t i = 0; i < m; ++i) {
        Round(of_k_.Row(i), k_.width, 1, of_k.Row(key + i));
        Round(of_v_.Row(i), k_.width, 1, of_v.Row(key + i));
      }
    }
    for (int64_t i = 0; i < q_.rows; ++i) {
      for (int64_t j = 0; j < q_.width; ++j) of_q.Row(i)[j] = of_q_.Row(j)[i];
    }
  }

 private:
  // What is worked on at once: small enough for a core's own cache. More keys: the sums for the
  // queries are read and written less often.
  static constexpr int64_t kKeys = 128, kQueries = 128;

  // What m keys from `key` on and kQueries queries from `query` on have to do with each other.
  void AddBlock(int64_t key, int64_t m, int64_t query) {
    const int64_t n = RoundUp(std::min(kQueries, q_.rows - query), kColumns);
    const float scale = ScaleOf(q_);
    q_transposed_.MultiplyFromLeft(k_rows_, m, query, n, scores_);
    gradient_transposed_.MultiplyFromLeft(v_rows_, m, query, n, gradients_);
    // Keys beyond the last have no weight.
    for (int64_t i = m; i < RoundUp(m, kTileLong); ++i) {
      std::fill_n(scores_.Row(i), n, -std::numeric_limits<float>::infinity());
      std::fill_n(gradients_.Row(i), n, 0.0F);
    }
    for (int64_t i = 0; i < RoundUp(m, kTileLong); i += 2) {
      BFloat16* packed = packed_.data() + i * kColumns;
      const ScoreRow first = RowOf(i), second = RowOf(i + 1);
      ScoreGradients(first, second, logs_.data() + query, means_.data() + query, scale, n, packed,
                     kKeys * kColumns);
    }
    gradient_packed_.MultiplyFromLeft(weights_, m, query, n, query > 0, of_v_);
    q_packed_.MultiplyFromLeft(score_gradients_, m, query, n, query > 0, of_k_);
    Multiply(RoundUp(q_.width, kTile), n, RoundUp(m, kTileLong),
             std::as_const(k_transposed_).From(key), packed_.data(), kKeys * kColumns,
             /*add=*/key > 0, of_q_.From(query));
  }

  ScoreRow RowOf(int64_t i) {
    return {scores_.Row(i), gradients_.Row(i), weights_.Row(i), score_gradients_.Row(i)};
  }

  Head q_, k_, v_;
  Numbers<float> logs_, means_;
  Transposed q_transposed_, gradient_transposed_;
  Packed q_packed_, gradient_packed_;
  Buffer<BFloat16> k_transposed_;  // [width, keys]
  Buffer<float> of_q_;             // [width, queries]
  Buffer<BFloat16> k_rows_{kKeys, k_.width}, v_rows_{kKeys, k_.width};
  Buffer<float> of_k_{kKeys, k_.width}, of_v_{kKeys, k_.width};
  Buffer<float> scores_{kKeys, kQueries}, gradients_{kKeys, kQueries};
  Buffer<BFloat16> weights_{kKeys, kQueries}, score_gradients_{kKeys, kQueries};
  Numbers<BFloat16> packed_ = Numbers<BFloat16>(kKeys * kQueries);
};

struct Mixed {
  torch::Tensor values_BTD;
  torch::Tensor logs;  // [B * heads, T]
};

Mixed Mix(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD, const torch::Tensor& v_BSD,
          int64_t heads) {
  const int64_t all = q_BTD.size(0) * heads, rows = q_BTD.size(1);
  Mixed mixed{torch::empty(q_BTD.sizes(), q_BTD.options()),
              torch::empty({all, rows}, q_BTD.options().dtype(torch::kFloat32))};
  auto* logs = mixed.logs.data_ptr<float>();
  std::vector<std::optional<Context>> contexts(all);
  at::parallel_for(0, all, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      contexts[i].emplace(HeadOf(k_BSD, heads, i), HeadOf(v_BSD, heads, i));
    }
  });
  const int64_t blocks = (rows + AttentionForward::kRows - 1) / AttentionForward::kRows;
  at::parallel_for(0, all * blocks, 1, [&](int64_t begin, int64_t end) {
    const Tiles tiles;
    AttentionForward forward(q_BTD.size(2) / heads);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t head = i / blocks;
      forward.Run(HeadOf(q_BTD, heads, head), *contexts[head], i % blocks * AttentionForward::kRows,
                  HeadOf(mixed.values_BTD, heads, head), logs + head * rows);
    }
  });
  return mixed;
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& q,
                               const torch::Tensor& k, const torch::Tensor& v, int64_t heads) {
    const Mixed mixed = Mix(q, k, v, heads);
    context->save_for_backward({q, k, v, mixed.values_BTD, mixed.logs});
    context->saved_data["heads"] = heads;
    return mixed.values_BTD;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &mixed = saved[3];
    const auto* logs = saved[4].const_data_ptr<float>();
    const int64_t heads = context->saved_data["heads"].toInt();
    const torch::Tensor gradient = gradients[0].contiguous();
    const auto of_q = torch::empty(q.sizes(), q.options()),
               of_k = torch::empty(k.sizes(), k.options()),
               of_v = torch::empty(v.sizes(), v.options());
    at::parallel_for(0, q.size(0) * heads, 1, [&](int64_t begin, int64_t end) {
      const Tiles tiles;
      for (int64_t i = begin; i < end; ++i) {
        AttentionBackward(HeadOf(q, heads, i), HeadOf(k, heads, i), HeadOf(v, heads, i),
                          HeadOf(mixed, heads, i), HeadOf(gradient, heads, i), logs + i * q.size(1))
            .Run(HeadOf(of_q, heads, i), HeadOf(of_k, heads, i), HeadOf(of_v, heads, i));
      }
    });
    return {of_q, of_k, of_v, torch::Tensor()};
  }
};

}  // namespace

bool AmxAttentionTakes(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                       const torch::Tensor& v_BSD, int64_t heads) {
  if (!Supported() || q_BTD.size(2) / heads % 2 != 0) return false;
  if (k_BSD.size(1) == 0 || k_BSD.size(0) != q_BTD.size(0)) return false;
  return std::ranges::all_of(std::array{q_BTD, k_BSD, v_BSD}, [](const torch::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == torch::kBFloat16 && x.stride(2) == 1;
  });
}

torch::Tensor AmxAttention(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                           const torch::Tensor& v_BSD, int64_t heads) {
  if (!torch::GradMode::is_enabled()) return Mix(q_BTD, k_BSD, v_BSD, heads).values_BTD;
  return AttentionFunction::apply(q_BTD, k_BSD, v_BSD, heads);
}

}  // namespace likeness
