#include "worker/nn/amx_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "worker/nn/amx.h"
#include "worker/nn/attention.h"

namespace likeness {
namespace {

using namespace amx;
using at::BFloat16;

// What is worked on at once: small enough for a core's own cache. More keys: the sums for the
// queries are read and written less often.
constexpr int64_t kKeys = 128, kQueries = 128;
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

// Rows as the right side of products that sum over them. Rows and columns beyond the last are zero.
class Packed {
 public:
  explicit Packed(const Head& head)
      : rows_(RoundUp(head.rows, kColumns)),
        width_(head.width),
        numbers_(rows_ * RoundUp(width_, kColumns)) {
    for (int64_t j = 0; j < width_; j += kColumns) {
      Pack(head.data + j, head.stride, head.rows, std::min(kColumns, width_ - j),
           numbers_.data() + j * rows_);
    }
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

void Round(const float* from, int64_t n, BFloat16* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

// The gradients of one head. `logs`: for each query, the logarithm of its sum of exponentials.
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
    for (int64_t i = 0; i < q.rows; ++i) {
      logs_[i] = kLog2E * logs[i];
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
        Round(of_k_.Row(i), k_.width, of_k.Row(key + i));
        Round(of_v_.Row(i), k_.width, of_v.Row(key + i));
      }
    }
    for (int64_t i = 0; i < q_.rows; ++i) {
      for (int64_t j = 0; j < q_.width; ++j) of_q.Row(i)[j] = of_q_.Row(j)[i];
    }
  }

 private:
  // What m keys from `key` on and kQueries queries from `query` on have to do with each other.
  void AddBlock(int64_t key, int64_t m, int64_t query) {
    const int64_t n = RoundUp(std::min(kQueries, q_.rows - query), kColumns);
    const float scale = kLog2E / std::sqrt(static_cast<float>(q_.width));
    q_transposed_.MultiplyFromLeft(k_rows_, m, query, n, scores_);
    gradient_transposed_.MultiplyFromLeft(v_rows_, m, query, n, gradients_);
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

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& q,
                               const torch::Tensor& k, const torch::Tensor& v, int64_t heads) {
    const auto [mixed, logs] = at::_scaled_dot_product_flash_attention_for_cpu(
        SplitHeads(q, heads), SplitHeads(k, heads), SplitHeads(v, heads));
    auto mixed_BTD = mixed.transpose(1, 2).flatten(2);
    context->save_for_backward({q, k, v, mixed_BTD, logs.contiguous()});
    context->saved_data["heads"] = heads;
    return mixed_BTD;
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
  return std::ranges::all_of(std::array{q_BTD, k_BSD, v_BSD}, [](const torch::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == torch::kBFloat16 && x.stride(2) == 1;
  });
}

torch::Tensor AmxAttention(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                           const torch::Tensor& v_BSD, int64_t heads) {
  return AttentionFunction::apply(q_BTD, k_BSD, v_BSD, heads);
}

}  // namespace likeness
