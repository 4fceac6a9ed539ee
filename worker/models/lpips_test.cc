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

TEST(Lpips, ItsSlicesAreAsWideAsChannelsSays) {
  torch::NoGradGuard no_grad;
  const LpipsOptions narrow{.channels = {4, 6, 8, 10, 12}};
  Lpips model(LpipsOptions::FromJson(narrow.ToJson()));
  const auto features = model->Features(torch::rand({1, 3, 64, 64}));
  std::vector<int64_t> widths;
  for (const auto& slice_BCHW : features.slices_BCHW) widths.push_back(slice_BCHW.size(1));
  EXPECT_EQ(widths, narrow.channels);
  EXPECT_EQ(model->named_parameters()["lin4.model.1.weight"].size(1), 12);
}

TEST(Lpips, PicturesOfDifferentSizesAreRefused) {
  Lpips model(LpipsOptions{});
  EXPECT_THROW(model->forward(torch::rand({1, 3, 64, 64}), torch::rand({1, 3, 64, 72})), Error);
}

TEST(LpipsOptions, AnotherVersionOrNetIsRefused) {
  EXPECT_THROW(LpipsOptions::FromJson({{"model_type", "lpips"}, {"version", "0.0"}}), Error);
  EXPECT_THROW(LpipsOptions::FromJson({{"model_type", "lpips"}, {"net", "squeeze"}}), Error);
}

TEST(LpipsOptions, ChannelsAreOneASlice) {
  const nlohmann::json config = {{"model_type", "lpips"}, {"version", "0.1"}};
  EXPECT_TRUE(LpipsOptions::FromJson(config).channels.empty());
  for (const nlohmann::json& refused :
       {nlohmann::json{4, 6, 8, 10}, nlohmann::json{4, 6, 0, 10, 12}, nlohmann::json::array()}) {
    auto with_channels = config;
    with_channels["channels"] = refused;
    EXPECT_THROW(LpipsOptions::FromJson(with_channels), Error) << refused;
  }
}

}  // namespace
}  // namespace likeness
