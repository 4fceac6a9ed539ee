#include "worker/methods/constrained_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>

#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr int64_t kWidth = 12, kOutputs = 5;

torch::Tensor Rows(int64_t count) { return torch::randn({count, kWidth}, torch::kFloat64); }

AdapterWithWords Alone(const std::string& layer, const torch::Tensor& change,
                       const torch::Tensor& words) {
  AdapterWithWords adapter{{}, words};
  adapter.adapter.Add(layer, change);
  return adapter;
}

torch::Tensor RandomChange() { return torch::randn({kOutputs, kWidth}); }

torch::Tensor Given(const torch::Tensor& change_OD, const torch::Tensor& rows) {
  return change_OD.to(torch::kFloat64).matmul(rows.t());
}

double Apart(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

class ConstrainedMergeTest : public testing::Test {
 protected:
  ConstrainedMergeTest() { torch::manual_seed(3); }
};

TEST_F(ConstrainedMergeTest, EachAdaptersWordsGiveWhatTheyGiveWithItAlone) {
  const auto a = RandomChange(), b = RandomChange(), rex = Rows(3), ann = Rows(2);
  const auto result = MergeConstrained({Alone("l", a, rex), Alone("l", b, ann)}, Rows(40));
  const auto& merged = result.merged.changes.at("l");
  EXPECT_EQ(merged.scalar_type(), torch::kFloat32);
  EXPECT_LT(Apart(Given(merged, rex), Given(a, rex)), 1e-4);
  EXPECT_LT(Apart(Given(merged, ann), Given(b, ann)), 1e-4);
  EXPECT_LT(result.word_error, 1e-9);
  EXPECT_LT(result.caption_change, 1);
  EXPECT_GT(result.caption_change, 0);
}

TEST_F(ConstrainedMergeTest, ItIsEquationFour) {
  const auto a = RandomChange(), b = RandomChange(), rex = Rows(3), ann = Rows(2);
  const auto captions = Rows(40);
  const auto result = MergeConstrained({Alone("l", a, rex), Alone("l", b, ann)}, captions);
  const auto words = torch::cat({rex, ann});
  const auto d = words.matmul(torch::linalg_inv(captions.t().matmul(captions)));
  const auto wanted = torch::cat({Given(a, rex), Given(b, ann)}, 1)
                          .matmul(torch::linalg_inv(d.matmul(words.t())))
                          .matmul(d);
  EXPECT_LT(Apart(result.merged.changes.at("l").to(torch::kFloat64), wanted), 1e-4);
}

TEST_F(ConstrainedMergeTest, CaptionsThatHaveNothingInCommonWithTheWordsStayAsTheyAre) {
  auto words = Rows(2), captions = Rows(40);
  words.slice(1, kWidth / 2).zero_();
  auto others = Rows(40);
  others.slice(1, 0, kWidth / 2).zero_();
  captions.slice(1, kWidth / 2).zero_();
  const auto result =
      MergeConstrained({Alone("l", RandomChange(), words)}, torch::cat({captions, others}));
  EXPECT_LT(Given(result.merged.changes.at("l"), others).abs().max().item<double>(), 1e-5);
}

TEST_F(ConstrainedMergeTest, OfTwoEqualAdaptersTheWordsGiveWhatOneMakesOfThem) {
  const auto a = RandomChange(), rex = Rows(3);
  const auto result = MergeConstrained({Alone("l", a, rex), Alone("l", a, rex)}, Rows(40));
  EXPECT_LT(Apart(Given(result.merged.changes.at("l"), rex), Given(a, rex)), 1e-4);
  EXPECT_LT(result.word_error, 1e-6);
}

TEST_F(ConstrainedMergeTest, OneWordOfTwoAdaptersThatDifferIsRefused) {
  const auto rex = Rows(3);
  try {
    MergeConstrained({Alone("l", RandomChange(), rex), Alone("l", RandomChange(), rex)}, Rows(40));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    EXPECT_THAT(error.what(), testing::HasSubstr("depend on each other"));
  }
}

TEST_F(ConstrainedMergeTest, FewerCaptionsThanTheContextIsWideAreEnough) {
  const auto a = RandomChange(), rex = Rows(3), captions = Rows(4);
  const auto result = MergeConstrained({Alone("l", a, rex)}, captions);
  const auto& merged = result.merged.changes.at("l");
  EXPECT_LT(Apart(Given(merged, rex), Given(a, rex)), 1e-4);
  EXPECT_LT(Given(merged, captions).abs().max().item<double>(), 1e-2);
}

TEST_F(ConstrainedMergeTest, WordsOfAnAdapterThatLeavesALayerAloneStayThereAsTheyAre) {
  const auto a = RandomChange(), b = RandomChange(), rex = Rows(3), ann = Rows(2);
  auto first = Alone("l", a, rex);
  first.adapter.words.push_back({"rex", {torch::zeros({1, 2})}});
  const auto result = MergeConstrained({first, Alone("m", b, ann)}, Rows(40));
  EXPECT_LT(Given(result.merged.changes.at("l"), ann).abs().max().item<double>(), 1e-4);
  EXPECT_LT(Apart(Given(result.merged.changes.at("m"), ann), Given(b, ann)), 1e-4);
  ASSERT_EQ(result.merged.words.size(), 1);
  EXPECT_TRUE(MergeConstrained({{{}, rex}}, Rows(40)).merged.changes.empty());
}

}  // namespace
}  // namespace likeness
