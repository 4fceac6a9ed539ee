#include "worker/training/stochastic_rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace likeness {
namespace {

torch::Tensor Rounded(const torch::Tensor& values, uint64_t seed) {
  auto weight = torch::empty_like(values, torch::kBFloat16);
  RoundStochastically(values, seed, weight);
  return weight;
}

// Of many draws, within five standard deviations.
TEST(StochasticRoundingTest, IsRightInTheMean) {
  constexpr int64_t kDraws = 200000;
  for (const float value : {1.001f, -1.001f, 1.0039f, 3e-7f, -1234.5f, 1e-39f}) {
    const auto rounded = Rounded(torch::full({kDraws}, value), 7).to(torch::kFloat64);
    const double low = rounded.min().item<double>(), high = rounded.max().item<double>();
    ASSERT_LT(low, high) << value;
    EXPECT_LE(low, value);
    EXPECT_GE(high, value);
    EXPECT_EQ(torch::logical_or(rounded == low, rounded == high).all().item<bool>(), true);
    const double share = (value - low) / (high - low);
    const double deviation = std::sqrt(share * (1 - share) / kDraws) * (high - low);
    EXPECT_NEAR(rounded.mean().item<double>(), value, 5 * deviation) << value;
  }
}

TEST(StochasticRoundingTest, NumbersOfBfloat16StayWhatTheyAre) {
  torch::manual_seed(1);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto values = torch::cat({torch::randn({1000}), torch::tensor({0.f, -0.f, kInfinity})})
                          .to(torch::kBFloat16)
                          .to(torch::kFloat32);
  for (int seed = 0; seed < 20; ++seed) {
    EXPECT_TRUE(torch::equal(Rounded(values, seed).to(torch::kFloat32), values));
  }
}

TEST(StochasticRoundingTest, ItsSeedSettlesEveryBit) {
  torch::manual_seed(1);
  const auto values = torch::randn({64, 32, 3, 3});
  EXPECT_TRUE(torch::equal(Rounded(values, 5), Rounded(values, 5)));
  EXPECT_FALSE(torch::equal(Rounded(values, 5), Rounded(values, 6)));
  const auto last = values.contiguous(torch::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(torch::equal(Rounded(last, 5), Rounded(values, 5))) << "in another order in memory";
}

TEST(StochasticRoundingTest, EveryUpdateOfEveryParameterHasASeedOfItsOwn) {
  std::set<uint64_t> low_bits;  // all that a CPU's generator reads
  for (uint32_t seed = 0; seed < 3; ++seed) {
    for (size_t parameter = 0; parameter < 30; ++parameter) {
      for (int64_t update = 1; update <= 30; ++update) {
        low_bits.insert(RoundingSeed(seed, parameter, update) & 0xffffffffu);
      }
    }
  }
  EXPECT_EQ(low_bits.size(), 2700u);
}

}  // namespace
}  // namespace likeness
