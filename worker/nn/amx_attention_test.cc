#include "worker/nn/amx_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "worker/nn/relative_error.h"

namespace likeness {
namespace {

struct Shape {
  int64_t queries, keys, heads, width;
};

// What attention gives, and the gradients of its queries, keys and values, in float32.
using Results = std::vector<torch::Tensor>;

torch::Tensor Plain(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                    const torch::Tensor& v_BSD, int64_t heads) {
  auto split = [heads](const torch::Tensor& x) {
    return x.unflatten(2, {heads, x.size(2) / heads}).transpose(1, 2);
  };
  return torch::scaled_dot_product_attention(split(q_BTD), split(k_BSD), split(v_BSD))
      .transpose(1, 2)
      .flatten(2);
}

Results Attend(decltype(Plain)* attention, const std::vector<torch::Tensor>& inputs,
               const torch::Tensor& gradient, int64_t heads, torch::ScalarType dtype) {
  std::vector<torch::Tensor> x;
  for (const auto& input : inputs) x.push_back(input.to(dtype).detach().requires_grad_());
  const auto mixed = attention(x[0], x[1], x[2], heads);
  mixed.backward(gradient.to(dtype));
  Results results{mixed.detach()};
  for (const auto& input : x) results.push_back(input.grad());
  for (auto& result : results) result = result.to(torch::kFloat32);
  return results;
}

class AmxAttentionTest : public testing::TestWithParam<Shape> {};

TEST_P(AmxAttentionTest, IsAsExactAsLibTorchInBfloat16) {
  const auto [queries, keys, heads, width] = GetParam();
  torch::manual_seed(1);
  auto random = [&, n_heads = heads, wide = width](int64_t rows) {
    return torch::randn({2, rows, n_heads * wide}).to(torch::kBFloat16);
  };
  const std::vector<torch::Tensor> inputs{random(queries), random(keys), random(keys)};
  const auto gradient = random(queries);
  if (!AmxAttentionTakes(inputs[0], inputs[1], inputs[2], heads)) GTEST_SKIP() << "no AMX";

  const Results exact = Attend(Plain, inputs, gradient, heads, torch::kFloat32);
  const Results plain = Attend(Plain, inputs, gradient, heads, torch::kBFloat16);
  const Results own = Attend(AmxAttention, inputs, gradient, heads, torch::kBFloat16);
  for (size_t i = 0; i < exact.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_LT(RelativeError(own[i], exact[i]), 1.25 * RelativeError(plain[i], exact[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AmxAttentionTest,
                         testing::Values(Shape{256, 256, 8, 40},    // blocks of 128
                                         Shape{1000, 77, 2, 80},    // cross-attention
                                         Shape{17, 515, 3, 66},     // no multiple of any tile
                                         Shape{130, 129, 1, 160}),  // two blocks, hardly
                         [](const auto& info) {
                           return std::to_string(info.param.queries) + "By" +
                                  std::to_string(info.param.keys);
                         });

TEST(AmxAttentionTest, ASingleKeyHasAllTheWeight) {
  const auto x = torch::randn({1, 1, 16}).to(torch::kBFloat16);
  if (!AmxAttentionTakes(x, x, x, 2)) GTEST_SKIP() << "no AMX";
  const auto gradient = torch::randn({1, 1, 16}).to(torch::kBFloat16);
  const Results results = Attend(AmxAttention, {x, x, x}, gradient, 2, torch::kBFloat16);
  EXPECT_TRUE(torch::equal(results[0], x.to(torch::kFloat32)));
  // Differences of two equal sums, which are not added in the same order.
  EXPECT_LT(results[1].abs().max().item<float>(), 1e-6);
  EXPECT_LT(results[2].abs().max().item<float>(), 1e-6);
  EXPECT_TRUE(torch::equal(results[3], gradient.to(torch::kFloat32)));
}

TEST(AmxAttentionTest, WithoutGradientsTheResultIsTheSame) {
  torch::manual_seed(3);
  const auto x = torch::randn({2, 100, 64}).to(torch::kBFloat16);
  if (!AmxAttentionTakes(x, x, x, 2)) GTEST_SKIP() << "no AMX";
  const auto with = AmxAttention(x, x, x.detach().requires_grad_(), 2);
  EXPECT_TRUE(with.requires_grad());
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(AmxAttention(x, x, x, 2), with));
}

// Exponentials are shifted by the largest of the first 128 scores, unless that is too small.
TEST(AmxAttentionTest, ALateKeyMayHaveAllTheWeight) {
  torch::manual_seed(4);
  for (const float size : {1.0F, 10.0F, 1000.0F}) {
    SCOPED_TRACE(size);
    auto q = torch::ones({1, 40, 32}).to(torch::kBFloat16);
    auto k = torch::randn({1, 300, 32}).to(torch::kBFloat16), v = torch::randn_like(k);
    k[0][299] = size * 10;
    if (!AmxAttentionTakes(q, k, v, 1)) GTEST_SKIP() << "no AMX";
    const auto mixed = AmxAttention(q, k, v, 1);
    for (int64_t i = 0; i < 40; ++i) EXPECT_TRUE(torch::equal(mixed[0][i], v[0][299])) << i;
  }
}

// Weights add up to one after they are rounded.
TEST(AmxAttentionTest, WhatIsTheSameInAllValuesStaysTheSame) {
  torch::manual_seed(6);
  const auto q = torch::randn({1, 200, 80}).to(torch::kBFloat16);
  const auto k = torch::randn({1, 5, 80}).to(torch::kBFloat16);
  const auto v = torch::randn({80}).to(torch::kBFloat16).expand({1, 5, 80});
  if (!AmxAttentionTakes(q, k, v, 2)) GTEST_SKIP() << "no AMX";
  EXPECT_TRUE(torch::equal(AmxAttention(q, k, v, 2), v[0][0].expand({1, 200, 80})));
}

// Rows that fill up the last block of keys must not count, however large others' scores are.
TEST(AmxAttentionTest, GradientsOfScoresFarFromZeroAreFinite) {
  torch::manual_seed(5);
  for (const int64_t keys : {1, 77, 144, 160}) {
    SCOPED_TRACE(keys);
    auto q = torch::full({1, 256, 64}, -20).to(torch::kBFloat16);
    q.narrow(1, 128, 128).fill_(20);
    const auto k = torch::ones({1, keys, 64}).to(torch::kBFloat16), v = torch::randn_like(k);
    if (!AmxAttentionTakes(q, k, v, 1)) GTEST_SKIP() << "no AMX";
    const auto gradient = torch::randn_like(q);
    const Results exact = Attend(Plain, {q, k, v}, gradient, 1, torch::kFloat32);
    const Results own = Attend(AmxAttention, {q, k, v}, gradient, 1, torch::kBFloat16);
    for (const auto& result : own) EXPECT_TRUE(result.isfinite().all().item<bool>());
    EXPECT_LT(RelativeError(own[0], exact[0]), 0.01);
    EXPECT_LT(RelativeError(own[3], exact[3]), 0.01);
  }
}

// As what a projection to all three gives.
TEST(AmxAttentionTest, RowsMayLieApart) {
  torch::manual_seed(2);
  const auto all = torch::randn({2, 40, 3 * 32}).to(torch::kBFloat16);
  if (!AmxAttentionTakes(all, all, all, 2)) GTEST_SKIP() << "no AMX";
  const auto gradient = torch::randn({2, 40, 32}).to(torch::kBFloat16);
  const auto parts = all.chunk(3, /*dim=*/2);
  const Results apart = Attend(AmxAttention, parts, gradient, 2, torch::kBFloat16);
  const Results together =
      Attend(AmxAttention, {parts[0].contiguous(), parts[1].contiguous(), parts[2].contiguous()},
             gradient, 2, torch::kBFloat16);
  for (size_t i = 0; i < apart.size(); ++i) EXPECT_TRUE(torch::equal(apart[i], together[i])) << i;
}

TEST(AmxAttentionTest, NotANumberStaysOne) {
  auto x = torch::randn({1, 64, 32}).to(torch::kBFloat16);
  if (!AmxAttentionTakes(x, x, x, 1)) GTEST_SKIP() << "no AMX";
  x[0][3][5] = NAN;
  const Results results = Attend(AmxAttention, {x, x, x}, torch::ones_like(x), 1, torch::kBFloat16);
  for (const auto& result : results) EXPECT_TRUE(result.isnan().any().item<bool>());
}

TEST(AmxAttentionTest, TakesNeitherFloat32NorOddWidthsNorOtherBatchesOrNoKeys) {
  const auto x = torch::randn({1, 4, 30});
  EXPECT_FALSE(AmxAttentionTakes(x, x, x, 1));
  const auto narrow = x.to(torch::kBFloat16);
  EXPECT_FALSE(AmxAttentionTakes(narrow, narrow, narrow, 2));
  const auto two = torch::cat({narrow, narrow}), none = narrow.narrow(1, 0, 0);
  EXPECT_FALSE(AmxAttentionTakes(two, narrow, narrow, 1));
  EXPECT_FALSE(AmxAttentionTakes(narrow, none, none, 1));
}

}  // namespace
}  // namespace likeness
