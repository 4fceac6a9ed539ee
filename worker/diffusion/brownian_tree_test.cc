#include "worker/diffusion/brownian_tree.h"

#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string_view>

#include "worker/diffusion/noise_source.h"

namespace likeness {
namespace {

// 40,000 motions at once: a share of them is known to about half a percent.
BrownianTree Many() { return {7, 14.6, {200, 200}}; }

double VarianceOf(const torch::Tensor& x) { return x.var().item<double>(); }

TEST(BrownianTreeTest, IncrementsHaveTheirLengthAsVariance) {
  const auto tree = Many();
  EXPECT_EQ(tree.At(0).abs().max().item<float>(), 0);
  for (const auto& [from, to] : {std::pair{0.0, 14.6}, {3.0, 3.5}, {7.3, 9.1}, {0.03, 0.05}}) {
    EXPECT_NEAR(VarianceOf(tree.At(to) - tree.At(from)) / (to - from), 1, 0.03) << from;
  }
}

TEST(BrownianTreeTest, IncrementsBesideEachOtherAreIndependent) {
  const auto tree = Many();
  const auto one = tree.At(5) - tree.At(2), other = tree.At(9) - tree.At(5);
  EXPECT_NEAR((one * other).mean().item<double>(), 0, 0.1);
}

TEST(BrownianTreeTest, ValuesFollowFromTheSeedAloneInWhateverOrder) {
  const auto tree = Many(), again = Many();
  const auto late = tree.At(11), early = tree.At(1);
  EXPECT_TRUE(torch::equal(again.At(1), early));
  EXPECT_TRUE(torch::equal(again.At(11), late));
  EXPECT_FALSE(torch::equal(BrownianTree(8, 14.6, {200, 200}).At(1), early));
}

TEST(PictureNoiseTest, APictureDrawsTheSameWhateverIsBesideIt) {
  PictureNoise both({3, 4}, {4, 8, 8}, torch::kCPU), alone({4}, {4, 8, 8}, torch::kCPU);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(torch::equal(both.Draw()[1], alone.Draw()[0]));
  EXPECT_TRUE(torch::equal(both.DrawBetween(14, 9)[1], alone.DrawBetween(14, 9)[0]));
  EXPECT_TRUE(torch::equal(both.DrawBetween(9, 2)[1], alone.DrawBetween(9, 2)[0]));
  EXPECT_FALSE(torch::equal(both.Draw()[0], both.Draw()[1]));
}

TEST(PictureNoiseTest, NoiseBetweenLevelsHasUnitVarianceAndOverlaps) {
  PictureNoise noise({3}, {1, 200, 200}, torch::kCPU);
  const auto half = noise.DrawBetween(16, 8), whole = noise.DrawBetween(16, 0.5);
  EXPECT_NEAR(VarianceOf(half), 1, 0.03);
  EXPECT_NEAR(VarianceOf(whole), 1, 0.03);
  EXPECT_NEAR((half * whole).mean().item<double>(), std::sqrt(8 / 15.5), 0.03);
}

// Of two steps of a sampler that asks about the middle and the end of each: its motion is walked
// down once for each time.
TEST(PictureNoiseTest, TimesThatStepsShareAreWalkedToOnce) {
  PictureNoise noise({3}, {1, 2, 2}, torch::kCPU);
  int drawn = 0;
  static thread_local int* counter = nullptr;
  counter = &drawn;
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(
      [](const at::RecordFunction& call) -> std::unique_ptr<at::ObserverContext> {
        if (std::string_view(call.name()) == "aten::randn") ++*counter;
        return nullptr;
      }));
  for (const auto& [from, to] : {std::pair{14, 9}, {14, 5}, {5, 3}, {5, 1}}) {
    noise.DrawBetween(from, to);
  }
  at::removeCallback(handle);
  constexpr int kWalk = 18;  // halvings
  EXPECT_GT(drawn, kWalk);
  EXPECT_LE(drawn, 1 + 4 * kWalk) << "the motion's end, and the way to 9, 5, 3 and 1";
}

}  // namespace
}  // namespace likeness
