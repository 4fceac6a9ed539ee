#include "worker/evaluation/warm_evaluators.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/evaluation/tiny_evaluators.h"

namespace likeness {
namespace {

class WarmEvaluatorsTest : public ::testing::Test {
 protected:
  WarmEvaluatorsTest() {
    WriteTinyEvaluators(folder_.path() / "evaluators");
    found_ = FindEvaluators(folder_.path()).found;
  }

  TempDir folder_;
  std::vector<EvaluatorFiles> found_;
  WarmEvaluators warm_{torch::kCPU};
};

TEST_F(WarmEvaluatorsTest, TheSameAreLoadedOnce) {
  const Evaluators* first = warm_.Get(found_).get();
  warm_.Check(found_);
  EXPECT_EQ(warm_.Get(found_).get(), first);
}

TEST_F(WarmEvaluatorsTest, OthersTakeTheirPlaceAndWhoHoldsThemKeepsThem) {
  const auto all = warm_.Get(found_);
  const auto one = warm_.Get({found_[0]});
  EXPECT_NE(one, all);
  EXPECT_TRUE(all->dino && all->clip && all->lpips);
  EXPECT_EQ(!!one->dino + !!one->clip + !!one->lpips, 1);
}

TEST_F(WarmEvaluatorsTest, FilesThatChangedAreReadAgain) {
  const auto before = warm_.Get(found_);
  const auto config = folder_.path() / "evaluators" / "tiny-dino" / "config.json";
  std::ofstream(config, std::ios::app) << " \n";
  EXPECT_NE(warm_.Get(found_), before);
  std::filesystem::remove(config);
  EXPECT_THROW(warm_.Check(found_), Error);
  EXPECT_THROW(warm_.Get(found_), Error) << "what failed once is not kept";
}

TEST(RememberedRows, AnEqualPictureIsComputedOnce) {
  RememberedRows rows;
  int computed = 0;
  const auto compute = [&] { return torch::full({1, 2}, ++computed); };
  const Image image{.width = 1, .height = 2, .rgb = {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(rows.Get(image, compute)[0][0].item<int>(), 1);
  EXPECT_EQ(rows.Get(Image(image), compute)[0][0].item<int>(), 1);
  const Image turned{.width = 2, .height = 1, .rgb = image.rgb};
  EXPECT_EQ(rows.Get(turned, compute)[0][0].item<int>(), 2);
}

TEST(RememberedRows, TheOldestIsForgottenFirst) {
  RememberedRows rows;
  int computed = 0;
  const auto compute = [&] { return torch::full({1, 2}, ++computed); };
  const auto image = [](size_t i) {
    return Image{
        .width = 1, .height = 1, .rgb = {static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8), 0}};
  };
  for (size_t i = 0; i <= RememberedRows::kMost; ++i) rows.Get(image(i), compute);
  const int all = computed;
  rows.Get(image(1), compute);
  EXPECT_EQ(computed, all);
  rows.Get(image(0), compute);
  EXPECT_EQ(computed, all + 1);
}

}  // namespace
}  // namespace likeness
