// What is measured of the weights while they are trained.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/methods/fine_tune_fixture.h"

namespace likeness {
namespace {

using TrainingMeasurementsTest = FineTuneModelTest;

// Judged by a stranger: the mean level of the pictures.
Measured LevelsOf(const std::vector<Image>& pictures) {
  double sum = 0;
  for (const Image& picture : pictures) {
    for (const uint8_t level : picture.rgb) sum += level;
  }
  return {.subject_score = sum / static_cast<double>(pictures.size()), .prompt_score = 0.5};
}

// With photos to validate by, and previews after every second step.
FineTuneOptions MeasuredJob() {
  FineTuneOptions options = EverythingDrawn();
  options.validation_photos = {{.image = TestImage(3)}};
  options.previews = {.every = 2, .prompts = {"a sks dog"}, .steps = 2, .judge = LevelsOf};
  return options;
}

TEST_F(TrainingMeasurementsTest, WhatIsMeasuredWhileTrainingChangesNothing) {
  for (const auto precision : {TrainingPrecision::kFloat32, TrainingPrecision::kBfloat16,
                               TrainingPrecision::kBfloat16Weights}) {
    const std::string number = TrainingPrecisionName(precision);
    FineTuneOptions options = MeasuredJob();
    options.precision = precision;
    if (precision != TrainingPrecision::kBfloat16Weights) options.ema_decay = 0.8;
    const auto measured = Train(options, "measured" + number);
    options.previews = {};
    const auto plain = Train(options, "plain" + number);
    EXPECT_EQ(measured.losses, plain.losses) << number;
    EXPECT_EQ(measured.validation_loss_after, plain.validation_loss_after) << number;
    for (const char* file : {kUnetFile, kTextFile}) {
      EXPECT_EQ(Bytes("measured" + number, file), Bytes("plain" + number, file)) << number;
    }
    ASSERT_EQ(measured.measured.size(), 4u) << "before the first step, and of three previews";
    ASSERT_EQ(plain.measured.size(), 2u) << "before and after";
  }
}

TEST_F(TrainingMeasurementsTest, TheLossOnValidationPhotosIsReportedAtOnce) {
  const auto result = Train(MeasuredJob(), "out");
  ASSERT_EQ(result.measured.size(), 4u);
  std::map<int64_t, Progress> told;  // the first report of each measurement
  for (const Progress& report : host("out").progress) {
    if (report.measured) told.try_emplace(report.measured->validation_loss_step, report);
  }
  ASSERT_EQ(told.size(), 4u);
  for (const auto& [step, measured] : result.measured) {
    const Progress& report = told.at(step);
    EXPECT_EQ(report.done, step);
    EXPECT_EQ(report.measured->measured.validation_loss, measured.validation_loss);
    EXPECT_EQ(measured.scored(), step > 0);
    EXPECT_EQ(report.measured->score_step, step);
    EXPECT_EQ(report.measured->measured.subject_score, measured.subject_score);
  }
  EXPECT_EQ(result.measured.front().measured.validation_loss, result.validation_loss_before);
  EXPECT_EQ(result.measured.back().measured.validation_loss, result.validation_loss_after);
}

TEST_F(TrainingMeasurementsTest, AResumedRunKnowsWhatWasMeasuredBefore) {
  const auto straight = Train(MeasuredJob(), "straight");
  for (const int64_t steps : {2, 3, 4, 6}) {
    const std::string name = "drained after " + std::to_string(steps);
    host(name).stop = [&](const RecordingHost& host) {
      return host.steps_done() >= steps ? StopReason::kDrain : StopReason::kNone;
    };
    EXPECT_EQ(FailureOf(MeasuredJob(), name), ErrorKind::kCancelled);
    host(name).stop = nullptr;
    const auto resumed = Train(MeasuredJob(), name);
    ASSERT_EQ(resumed.measured.size(), straight.measured.size()) << name;
    for (size_t i = 0; i < straight.measured.size(); ++i) {
      const auto& [step, measured] = straight.measured[i];
      EXPECT_EQ(resumed.measured[i].step, step) << name;
      EXPECT_EQ(resumed.measured[i].measured.validation_loss, measured.validation_loss) << name;
      EXPECT_EQ(resumed.measured[i].measured.subject_score, measured.subject_score) << name;
    }
  }
}

// Six steps, judged after every second; the second checkpoint makes the model.
FineTuneOptions BestOfThree() {
  FineTuneOptions options = MeasuredJob();
  options.checkpoint_every = 2;
  options.selection = {.prompts = {"a sks dog in the snow"},
                       .steps = 2,
                       .judge = [asked = 0](const std::vector<Image>&) mutable {
                         return Measured{.subject_score = ++asked == 2 ? 0.9 : 0.2,
                                         .prompt_score = 0.25};
                       }};
  options.previews = {};
  return options;
}

TEST_F(TrainingMeasurementsTest, TheLastStepIsMeasuredAlsoWhereAnEarlierOneMakesTheModel) {
  const auto result = Train(BestOfThree(), "out");
  EXPECT_EQ(result.best_step, 4);
  ASSERT_EQ(result.measured.size(), 4u) << "before the first step, and of the checkpoints";
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(result.measured[i].step, 2 * i);
    EXPECT_TRUE(result.measured[i].measured.validation_loss) << i;
    EXPECT_EQ(result.measured[i].measured.scored(), i > 0);
  }
  EXPECT_EQ(result.measured[2].measured.validation_loss, result.validation_loss_after);
  EXPECT_NE(result.measured[3].measured.validation_loss, result.validation_loss_after);
}

// The sum of fewer scores says nothing beside those of other checkpoints.
TEST_F(TrainingMeasurementsTest, ACheckpointIsScoredByBothScoresOrNotAtAll) {
  for (const bool subject : {false, true}) {
    FineTuneOptions options = BestOfThree();
    options.selection.judge = [subject](const std::vector<Image>&) {
      return subject ? Measured{.subject_score = 0.9} : Measured{.prompt_score = 0.9};
    };
    EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kFailedPrecondition);
    EXPECT_EQ(failure_, std::string("the pictures of a checkpoint have no ") +
                            (subject ? "prompt" : "subject") + " score");
  }
}

}  // namespace
}  // namespace likeness
