#include "worker/training/training_rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace likeness {
namespace {

// Golden numbers: PyTorch 2.13,
//   g = torch.Generator().manual_seed(((0 + 1) * 2654435761 + 7) % 2**32)
//   torch.randn(1, 4, 2, 2, generator=g); torch.randint(1000, (1,), generator=g)
TEST(TrainingRngTest, DrawsWhatPyTorchDraws) {
  at::Generator generator = StepGenerator(/*seed=*/0, /*step=*/7);
  const auto noise = torch::randn({1, 4, 2, 2}, generator).flatten();
  EXPECT_EQ(noise[0].item<float>(), 0.35240721702575684f);
  EXPECT_EQ(noise[1].item<float>(), 0.5365124344825745f);
  EXPECT_EQ(torch::randint(1000, {1}, generator, torch::kInt64).item<int64_t>(), 790);
}

TEST(TrainingRngTest, SeedsAreOfThirtyTwoBits) { EXPECT_EQ(StepSeed(7, 3), 4055616907u); }

// PyTorch's generator keeps 32 bits, so the runs of different seeds could overlap: seed * 2^20
// would after 4,096 seeds.
TEST(TrainingRngTest, RunsOfNearbySeedsDoNotOverlap) {
  std::vector<uint64_t> first_steps;
  for (uint32_t seed = 0; seed < 1000; ++seed) first_steps.push_back(StepSeed(seed, 0));
  std::sort(first_steps.begin(), first_steps.end());
  for (size_t i = 1; i < first_steps.size(); ++i)
    ASSERT_GT(first_steps[i] - first_steps[i - 1], uint64_t{1} << 20);
}

}  // namespace
}  // namespace likeness
