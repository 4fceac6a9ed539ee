#include "worker/methods/combined_adapters.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>
#include <vector>

namespace likeness {
namespace {

MergedAdapters Changing(const std::string& layer, const torch::Tensor& change) {
  MergedAdapters adapter;
  adapter.Add(layer, change);
  return adapter;
}

CombinedAdapters Combine(const std::vector<MergedAdapters>& adapters, Combination combination) {
  CombinedAdapters combined(combination);
  for (const MergedAdapters& adapter : adapters) combined.Add(adapter);
  return combined;
}

torch::Tensor ChangeOf(const CombinedAdapters& combined, const std::string& layer) {
  return combined.merged().changes.at(layer);
}

TEST(CombinedAdaptersTest, ASumIsWhatBothChange) {
  const auto a = torch::randn({5, 3}), b = torch::randn({5, 3});
  const auto sum = Combine({Changing("unet/a", a), Changing("unet/a", b)}, Combination::kSum);
  EXPECT_TRUE(torch::equal(ChangeOf(sum, "unet/a"), a + b));
}

TEST(CombinedAdaptersTest, OrthogonalKeepsTheFirstWholeAndOfTheOthersWhatStandsUprightOnIt) {
  torch::manual_seed(1);
  const auto a = torch::randn({5, 3, 2, 2}), b = torch::randn({5, 3, 2, 2}),
             c = torch::randn({5, 3, 2, 2});
  const auto two = Combine({Changing("l", a), Changing("l", b)}, Combination::kOrthogonal);
  const auto added = (ChangeOf(two, "l") - a).flatten(1);
  EXPECT_LT((added * a.flatten(1)).sum(0).abs().max().item<double>(), 1e-5);
  // What is left out is a multiple of the first one's column.
  const auto left_out = b.flatten(1) - added;
  for (int64_t column = 0; column < left_out.size(1); ++column) {
    const auto x = left_out.select(1, column), y = a.flatten(1).select(1, column);
    EXPECT_NEAR(torch::dot(x, y).abs().item<double>(), (x.norm() * y.norm()).item<double>(), 1e-5);
  }
  EXPECT_NEAR(two.overlap(), (left_out.square().sum() / b.square().sum()).item<double>(), 1e-6);
  const auto three =
      Combine({Changing("l", a), Changing("l", b), Changing("l", c)}, Combination::kOrthogonal);
  const auto last = (ChangeOf(three, "l") - ChangeOf(two, "l")).flatten(1);
  EXPECT_LT((last * ChangeOf(two, "l").flatten(1)).sum(0).abs().max().item<double>(), 1e-5);
}

TEST(CombinedAdaptersTest, TheOverlapIsAllOfTwoEqualOnesAndNothingOfOrthogonalOnes) {
  const auto a = torch::randn({4, 4});
  EXPECT_NEAR(Combine({Changing("l", a), Changing("l", a * -2)}, Combination::kSum).overlap(), 1,
              1e-6);
  auto upper = torch::zeros({4, 4}), lower = torch::zeros({4, 4});
  upper.slice(0, 0, 2).fill_(1);
  lower.slice(0, 2, 4).fill_(1);
  EXPECT_EQ(Combine({Changing("l", upper), Changing("l", lower)}, Combination::kSum).overlap(), 0);
  EXPECT_EQ(Combine({Changing("l", a), Changing("m", a)}, Combination::kSum).overlap(), 0);
}

TEST(CombinedAdaptersTest, OneAloneAndColumnsOfZerosStayAsTheyAre) {
  const auto a = torch::zeros({4, 4}), b = torch::randn({4, 4});
  for (const auto rule : {Combination::kSum, Combination::kOrthogonal}) {
    EXPECT_TRUE(torch::equal(ChangeOf(Combine({Changing("l", b)}, rule), "l"), b));
    EXPECT_TRUE(
        torch::equal(ChangeOf(Combine({Changing("l", a), Changing("l", b)}, rule), "l"), b));
    EXPECT_TRUE(Combine({}, rule).merged().changes.empty());
  }
}

TEST(CombinedAdaptersTest, WordsAreAllKeptInTheirOrder) {
  MergedAdapters rex, ann;
  rex.words.push_back({"rex", {torch::zeros({1, 2})}});
  ann.words.push_back({"ann", {torch::zeros({2, 2})}});
  const auto words = Combine({rex, ann}, Combination::kOrthogonal).merged().words;
  ASSERT_EQ(words.size(), 2);
  EXPECT_EQ(words[0].word, "rex");
  EXPECT_EQ(words[1].word, "ann");
}

}  // namespace
}  // namespace likeness
