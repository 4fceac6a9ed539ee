#include "worker/jobs/rehearsed_measurements.h"

#include <gtest/gtest.h>

#include <utility>

namespace likeness {
namespace {

// A hundred steps, previews after every sixtieth, checkpoints after every fortieth.
v1::FineTuneSpec Spec() {
  v1::FineTuneSpec spec;
  v1::Subject& subject = *spec.add_subjects();
  subject.set_token("sks");
  subject.set_class_noun("dog");
  spec.mutable_training()->set_steps(100);
  spec.mutable_training()->set_checkpoint_every_steps(40);
  spec.mutable_previews()->set_every_steps(60);
  spec.mutable_previews()->add_prompts("a {subject}");
  return spec;
}

void AddValidationPhoto(v1::FineTuneSpec& spec) {
  spec.mutable_subjects(0)->add_validation_photos();
}

std::optional<LatestMeasured> After(int64_t done, const v1::FineTuneSpec& spec) {
  return RehearsedMeasurements(spec, WordsOf(spec), done);
}

TEST(RehearsedMeasurementsTest, TheLossIsMeasuredAtPreviewsAndAfterTheLastStep) {
  v1::FineTuneSpec spec = Spec();
  EXPECT_FALSE(After(100, spec)) << "nothing to measure on";
  AddValidationPhoto(spec);
  EXPECT_EQ(After(0, spec)->validation_loss_step, 0);
  EXPECT_EQ(After(59, spec)->validation_loss_step, 0);
  EXPECT_EQ(After(99, spec)->validation_loss_step, 60);
  const auto last = After(100, spec);
  EXPECT_EQ(last->validation_loss_step, 100);
  EXPECT_EQ(last->measured.validation_loss, RehearsedLoss(100, 100)) << "as Job.metrics has it";
  spec.mutable_previews()->set_every_steps(0);
  EXPECT_EQ(After(99, spec)->validation_loss_step, 0);
  EXPECT_EQ(After(100, spec)->validation_loss_step, 100);
}

TEST(RehearsedMeasurementsTest, ARuleThatPicksACheckpointMeasuresAtCheckpoints) {
  for (const auto rule : {v1::STOP_RULE_BEST, v1::STOP_RULE_LOWEST_VALIDATION_LOSS}) {
    v1::FineTuneSpec spec = Spec();
    AddValidationPhoto(spec);
    spec.mutable_training()->set_stop_rule(rule);
    spec.mutable_judge()->set_enabled(rule == v1::STOP_RULE_BEST);
    const bool scored = rule == v1::STOP_RULE_BEST;
    EXPECT_FALSE(After(39, spec)->measured.scored());
    for (const auto& [done, step] : {std::pair(40, 40), std::pair(99, 80), std::pair(100, 100)}) {
      EXPECT_EQ(After(done, spec)->validation_loss_step, step);
      EXPECT_EQ(After(done, spec)->measured.scored(), scored);
      EXPECT_EQ(After(done, spec)->score_step, scored ? step : 0);
    }
  }
}

TEST(RehearsedMeasurementsTest, PreviewsOfAJudgedJobAreScored) {
  v1::FineTuneSpec spec = Spec();
  spec.mutable_judge()->set_enabled(true);
  EXPECT_FALSE(After(59, spec));
  EXPECT_EQ(After(100, spec)->score_step, 60);
  EXPECT_TRUE(After(60, spec)->measured.subject_score);
  EXPECT_TRUE(After(60, spec)->measured.prompt_score);
  spec.mutable_previews()->set_prompts(0, "a {class}");
  EXPECT_FALSE(After(60, spec)->measured.subject_score) << "no prompt names the subject";
  spec.mutable_previews()->set_prompts(0, "a {subject}");
  spec.mutable_judge()->add_measures(v1::MEASURE_CLIP_I);
  EXPECT_TRUE(After(60, spec)->measured.subject_score);
  EXPECT_FALSE(After(60, spec)->measured.prompt_score);
}

}  // namespace
}  // namespace likeness
