#include "worker/training/measurements.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace likeness {
namespace {

TEST(MeasurementsTest, TheLatestOfEachIsSaidWithItsStep) {
  std::vector<MeasuredStep> steps;
  EXPECT_FALSE(LatestOf(steps));
  AddMeasured(2, {.subject_score = 0.5, .prompt_score = 0.25}, steps);
  AddMeasured(2, {.validation_loss = 0.125}, steps);
  AddMeasured(4, {.validation_loss = 0.0625}, steps);
  EXPECT_EQ(steps.size(), 2u) << "what is measured of one step stands together";
  const auto latest = LatestOf(steps);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->measured.validation_loss, 0.0625);
  EXPECT_EQ(latest->validation_loss_step, 4);
  EXPECT_EQ(latest->measured.subject_score, 0.5);
  EXPECT_EQ(latest->score_step, 2);
}

// A checkpoint has NaN where nothing was measured, and no NaN equals another.
TEST(MeasurementsTest, OnlyFiniteValuesAreKept) {
  std::vector<MeasuredStep> steps;
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    AddMeasured(0, {.validation_loss = value}, steps);
    AddMeasured(2, {.subject_score = value, .prompt_score = -value}, steps);
  }
  EXPECT_TRUE(steps.empty());
  AddMeasured(4,
              {.validation_loss = std::numeric_limits<double>::quiet_NaN(), .prompt_score = 0.25},
              steps);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_FALSE(steps[0].measured.validation_loss);
  EXPECT_EQ(steps[0].measured.prompt_score, 0.25);
}

}  // namespace
}  // namespace likeness
