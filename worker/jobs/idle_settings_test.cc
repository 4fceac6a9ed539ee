#include "worker/jobs/idle_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/jobs/resolve.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Warnings(const v1::FineTuneSpec& asked) {
  return WarningsOfIdleSettings(asked, ResolveFineTune(asked, {}).fine_tune());
}

TEST(IdleSettingsTest, CyclesAreOfTheScheduleWithRestarts) {
  v1::FineTuneSpec spec;
  spec.mutable_training()->set_schedule_cycles(3);
  EXPECT_THAT(Warnings(spec), ElementsAre("training.schedule_cycles has no effect: only the "
                                          "schedule COSINE_WITH_RESTARTS has cycles"));
  spec.mutable_training()->set_learning_rate_schedule(
      v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS);
  EXPECT_THAT(Warnings(spec), IsEmpty());
}

TEST(IdleSettingsTest, StepsOfTheTextEncoderAreFewerThanThoseOfTheTraining) {
  v1::FineTuneSpec spec;
  spec.mutable_dreambooth()->set_text_encoder_steps(200);
  spec.mutable_training()->set_steps(100);
  EXPECT_THAT(Warnings(spec), ElementsAre(HasSubstr("train_text_encoder is false")));
  spec.mutable_dreambooth()->set_train_text_encoder(true);
  EXPECT_THAT(Warnings(spec), ElementsAre(HasSubstr("has no more steps")));
  spec.mutable_training()->set_steps(201);
  EXPECT_THAT(Warnings(spec), IsEmpty());
}

TEST(IdleSettingsTest, AWordIsLearnedInFloat32AndNeedsNoPrior) {
  v1::FineTuneSpec spec;
  spec.mutable_textual_inversion();
  spec.mutable_training()->set_precision(v1::PRECISION_BF16);
  spec.mutable_prior()->set_weight(1);
  EXPECT_THAT(Warnings(spec), ElementsAre(HasSubstr("prior.weight has no effect"),
                                          HasSubstr("training.precision has no effect")));
  spec.set_initial_model("tenants/default/models/rex");
  spec.clear_prior();
  spec.clear_training();
  spec.mutable_textual_inversion()->set_initial_text("a toy");
  EXPECT_THAT(Warnings(spec), ElementsAre(HasSubstr("initial_text has no effect")));
}

TEST(IdleSettingsTest, WhatIsAboutMasksAndPreviewsNeedsThem) {
  v1::FineTuneSpec spec;
  spec.mutable_training()->set_unmasked_weight(0.1);
  spec.mutable_training()->set_optimizer(v1::OPTIMIZER_ADAFACTOR);
  spec.mutable_training()->set_adam_beta2(0.99);
  spec.mutable_previews()->add_prompts("a {subject}");
  EXPECT_THAT(Warnings(spec), ElementsAre(HasSubstr("adam_beta2"), HasSubstr("unmasked_weight"),
                                          HasSubstr("previews.prompts")));
  spec.mutable_training()->clear_adam_beta2();
  spec.mutable_training()->set_alpha_masks(true);
  spec.mutable_previews()->set_every_steps(10);
  EXPECT_THAT(Warnings(spec), IsEmpty());
}

TEST(IdleSettingsTest, AResolvedSpecGetsTheWarningsOfItsJobAndNoOthers) {
  v1::FineTuneSpec spec;
  spec.add_subjects()->set_class_noun("dog");
  for (int method = 0; method < 3; ++method) {
    if (method == 1) spec.mutable_lora();
    if (method == 2) spec.mutable_textual_inversion();
    spec.mutable_training()->set_optimizer(v1::OPTIMIZER_ADAFACTOR);
    spec.set_initial_model(method > 0 ? "tenants/default/models/rex" : "");
    const auto resolved = ResolveFineTune(spec, {}).fine_tune();
    EXPECT_THAT(Warnings(resolved), IsEmpty());
  }
}

TEST(IdleSettingsTest, ClassPhotosAreOfAPriorWithAWeight) {
  v1::FineTuneSpec spec;
  spec.mutable_prior()->add_class_photos();
  EXPECT_THAT(Warnings(spec), IsEmpty());
  spec.mutable_prior()->set_weight(0);
  EXPECT_THAT(Warnings(spec), ElementsAre("prior.class_photos has no effect: prior.weight is 0"));
}

}  // namespace
}  // namespace likeness
