#include "worker/models/lpips.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

class LpipsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(LpipsTest, IsNothingBetweenAPictureAndItselfAndTheSameBothWays) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(0);
  Lpips model(LpipsOptions{GetParam()});
  const auto a = torch::rand({2, 3, 64, 64}) * 2 - 1, b = torch::rand({2, 3, 64, 64}) * 2 - 1;
  EXPECT_EQ(model->forward(a, a).abs().max().item<double>(), 0);
  const auto there = model->forward(a, b), back = model->forward(b, a);
  EXPECT_GT(there.min().item<double>(), 0);
  EXPECT_TRUE(torch::allclose(there, back));
}

INSTANTIATE_TEST_SUITE_P(Nets, LpipsTest, ::testing::Values("alex", "vgg"));

TEST(Lpips, PicturesOfDifferentSizesAreRefused) {
  Lpips model(LpipsOptions{});
  EXPECT_THROW(model->forward(torch::rand({1, 3, 64, 64}), torch::rand({1, 3, 64, 72})), Error);
}

TEST(LpipsOptions, AnotherVersionOrNetIsRefused) {
  EXPECT_THROW(LpipsOptions::FromJson({{"model_type", "lpips"}, {"version", "0.0"}}), Error);
  EXPECT_THROW(LpipsOptions::FromJson({{"model_type", "lpips"}, {"net", "squeeze"}}), Error);
}

}  // namespace
}  // namespace likeness
