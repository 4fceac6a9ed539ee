#include "worker/evaluation/measures.h"

#include <gtest/gtest.h>

#include <cmath>

namespace likeness {
namespace {

TEST(MeanOfGroups, AGroupWithMoreValuesCountsNoMoreThanAnother) {
  // Over all values the mean would be .25.
  EXPECT_DOUBLE_EQ(MeanOfGroups({{0, 0, 0}, {1}}).mean, 0.5);
}

TEST(MeanOfGroups, EqualValuesGiveAnEqualInterval) {
  const std::vector<std::vector<double>> groups = {{.1, .2}, {.4}, {.3, .9}, {.5}};
  const auto a = MeanOfGroups(groups), b = MeanOfGroups(groups);
  EXPECT_EQ(a.interval->low, b.interval->low);
  EXPECT_EQ(a.interval->high, b.interval->high);
}

// Of n draws from a normal distribution the mean lies within 1.96 / sqrt(n) of the truth 19 times
// of 20; the bootstrap's interval is as wide, and holds the truth about as often.
TEST(MeanOfGroups, TheIntervalHoldsTheTruthAboutNineteenTimesOfTwenty) {
  torch::manual_seed(0);
  constexpr int kRuns = 200, kValues = 30;
  int held = 0;
  double width = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto drawn = torch::randn({kValues}, torch::kFloat64);
    const std::vector<double> values(drawn.data_ptr<double>(), drawn.data_ptr<double>() + kValues);
    const auto interval = *MeanOfGroups({values}).interval;
    held += interval.low <= 0 && 0 <= interval.high;
    width += (interval.high - interval.low) / kRuns;
  }
  EXPECT_NEAR(static_cast<double>(held) / kRuns, 0.95, 0.05);
  EXPECT_NEAR(width, 2 * 1.96 / std::sqrt(kValues), 0.08);
}

TEST(MeanOfGroups, OfOneValueThereIsNoInterval) {
  EXPECT_FALSE(MeanOfGroups({{.4}}).interval);
  EXPECT_DOUBLE_EQ(MeanOfGroups({{}, {.4}}).mean, .4);
}

TEST(CosinesAmong, NoPhotoIsComparedWithItself) {
  const auto photos = torch::tensor({{1.f, 0.f}, {0.f, 1.f}, {0.6f, 0.8f}});
  const auto among = CosinesAmong(photos);
  EXPECT_NEAR(among->mean, (0 + .6 + .8) / 3, 1e-6);
  EXPECT_NEAR(among->largest, .8, 1e-6);
  EXPECT_FALSE(CosinesAmong(photos.slice(0, 0, 1)));
}

TEST(MaskedMaxCosine, EachPartOfTheSubjectIsFoundWhereItIsMostAlike) {
  const auto subject = torch::tensor({{1.f, 0.f}, {0.f, 1.f}});
  const auto picture = torch::tensor({{0.6f, 0.8f}, {1.f, 0.f}, {-1.f, 0.f}});
  EXPECT_NEAR(MaskedMaxCosine(subject, picture), (1 + .8) / 2, 1e-6);
}

TEST(RanksAmong, TheNearestPhotoIsLookedForAmongLookAlikes) {
  const auto photos = torch::tensor({{1.f, 0.f}, {0.8f, 0.6f}});
  const auto gallery = torch::tensor({{0.f, 1.f}, {0.6f, 0.8f}});
  // Near a photo; near a look-alike; between look-alikes.
  const auto queries = torch::tensor({{1.f, 0.f}, {0.6f, 0.8f}, {0.f, 1.f}});
  EXPECT_EQ(RanksAmong(queries, photos, gallery), (std::vector<int64_t>{1, 2, 3}));
}

TEST(RanksAmong, ALookAlikeAsNearAsThePhotoStandsBeforeIt) {
  const auto photo = torch::tensor({{1.f, 0.f}});
  EXPECT_EQ(RanksAmong(photo, photo, photo), (std::vector<int64_t>{2}));
}

}  // namespace
}  // namespace likeness
