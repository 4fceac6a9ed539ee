#include "worker/jobs/resolve.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "common/fine_tune_methods.h"
#include "common/job_spec.h"

namespace likeness {
namespace {

using google::protobuf::util::MessageDifferencer;

ModelFacts Model() {
  ModelFacts model{.name = "baseModels/mini",
                   .digest = "d1",
                   .image_size = 64,
                   .sampler = "plms",
                   .defaults = {}};
  MutableSubjectOf(model.defaults.fine_tune).set_token("zwx");
  model.defaults.fine_tune.mutable_training()->set_learning_rate(2e-4);
  model.defaults.fine_tune.mutable_training()->set_steps(200);
  model.defaults.generate.set_steps(25);
  return model;
}

v1::FineTuneSpec Spec() {
  v1::FineTuneSpec spec;
  MutableSubjectOf(spec).set_class_noun("dog");
  MutableSubjectOf(spec).add_photos()->set_blob("tenants/default/blobs/aa");
  return spec;
}

TEST(ResolveTest, TheJobWinsOverTheModelWhichWinsOverTheMethod) {
  auto spec = Spec();
  spec.mutable_training()->set_steps(7);
  const auto resolved = ResolveFineTune(spec, Model());
  EXPECT_EQ(resolved.fine_tune().training().steps(), 7);
  EXPECT_EQ(resolved.fine_tune().training().learning_rate(), 2e-4);
  EXPECT_EQ(resolved.fine_tune().training().adam_beta2(), 0.999);
  EXPECT_EQ(resolved.fine_tune().subjects(0).token(), "zwx");
  EXPECT_EQ(resolved.fine_tune().base_model(), "baseModels/mini");
  EXPECT_EQ(resolved.base_model_digest(), "d1");
}

TEST(ResolveTest, AnOfferThatIsTooLargeForOlderServersNamesOneMethodsSettings) {
  auto model = Model();
  v1::BaseModel offer;
  AddDefaults(model, offer);
  FitOffer(offer);
  EXPECT_EQ(offer.other_fine_tune_defaults_size(), 6);
  model.defaults.fine_tune.mutable_samples()->set_negative_prompt(std::string(1000, 'x'));
  model.defaults.generate.set_negative_prompt(std::string(1000, 'x'));
  offer.Clear();
  AddDefaults(model, offer);
  FitOffer(offer);
  EXPECT_EQ(offer.other_fine_tune_defaults_size(), 0);
  EXPECT_LT(offer.ByteSizeLong(), 4096u);
}

TEST(ResolveTest, ZeroIsAValueLikeAnyOther) {
  auto spec = Spec();
  spec.mutable_training()->set_seed(0);
  spec.mutable_samples()->set_seed(0);
  spec.mutable_prior()->set_weight(0);
  const auto resolved = ResolveFineTune(spec, Model());
  EXPECT_EQ(resolved.fine_tune().training().seed(), 0);
  EXPECT_EQ(resolved.fine_tune().samples().seed(), 0);
  EXPECT_EQ(resolved.fine_tune().prior().weight(), 0);
}

TEST(ResolveTest, DerivedDefaultsFollowWhatTheyAreDerivedFrom) {
  auto spec = Spec();
  spec.mutable_training()->set_learning_rate(1e-3);
  spec.mutable_previews()->set_every_steps(10);
  const auto resolved = ResolveFineTune(spec, Model());
  EXPECT_EQ(resolved.fine_tune().dreambooth().text_encoder_learning_rate(), 1e-3);
  EXPECT_EQ(resolved.fine_tune().prior().class_prompt(), "a dog");
  EXPECT_THAT(resolved.fine_tune().previews().prompts(), testing::ElementsAre("a {subject}"));
}

TEST(ResolveTest, AListOfPromptsIsReplacedNotJoined) {
  auto model = Model();
  model.defaults.fine_tune.mutable_samples()->add_prompts("the model's");
  auto spec = Spec();
  spec.mutable_samples()->add_prompts("the job's");
  const auto resolved = ResolveFineTune(spec, model);
  EXPECT_THAT(resolved.fine_tune().samples().prompts(), testing::ElementsAre("the job's"));
}

TEST(ResolveTest, ResolvingAResolvedSpecChangesNothing) {
  auto spec = Spec();
  spec.mutable_samples()->add_prompts("a {subject} in the snow");
  spec.mutable_previews()->set_every_steps(10);
  const auto once = ResolveFineTune(spec, Model());
  EXPECT_TRUE(MessageDifferencer::Equals(once, ResolveFineTune(once.fine_tune(), Model())));

  v1::GenerateSpec generate;
  generate.add_prompts("a cat");
  const auto drawn = ResolveGenerate(generate, Model());
  EXPECT_TRUE(MessageDifferencer::Equals(drawn, ResolveGenerate(drawn.generate(), Model())));
}

TEST(ResolveTest, StepsAndRatesAreThoseOfTheMethod) {
  auto spec = Spec();
  spec.mutable_lora();
  auto model = Model();
  model.defaults.fine_tune.mutable_dreambooth()->set_train_text_encoder(true);
  model.defaults.fine_tune.mutable_prior()->set_class_images(32);
  const auto lora = [&] { return ResolveFineTune(spec, model).fine_tune(); };
  EXPECT_EQ(lora().training().steps(), 800) << "the model's 200 are for DreamBooth";
  EXPECT_EQ(lora().training().learning_rate(), 1e-4);
  EXPECT_EQ(lora().prior().class_images(), 32);
  EXPECT_EQ(lora().subjects(0).token(), "zwx");
  EXPECT_FALSE(lora().lora().train_text_encoder());
  EXPECT_THAT(lora().lora().targets(), testing::ElementsAre("to_q", "to_k", "to_v", "to_out.0"));
  auto& own = model.defaults.methods["lora"];
  own.mutable_training()->set_steps(300);
  own.mutable_lora()->set_rank(8);
  own.mutable_lora()->add_targets("to_q");
  EXPECT_EQ(lora().training().steps(), 300);
  EXPECT_EQ(lora().lora().alpha(), 8) << "the rank";
  EXPECT_THAT(lora().lora().targets(), testing::ElementsAre("to_q"));
  spec.mutable_lora()->set_rank(4);
  spec.mutable_lora()->add_targets("conv1");
  EXPECT_EQ(lora().lora().alpha(), 4);
  EXPECT_THAT(lora().lora().targets(), testing::ElementsAre("conv1"));
  const auto once = ResolveFineTune(spec, model);
  EXPECT_TRUE(MessageDifferencer::Equals(once, ResolveFineTune(once.fine_tune(), model)));
}

TEST(ResolveTest, ProdigyHasOneRateThatIsOneUnlessSaid) {
  auto spec = Spec();
  spec.mutable_training()->set_optimizer(v1::OPTIMIZER_PRODIGY);
  const auto resolved = [&] { return ResolveFineTune(spec, Model()).fine_tune(); };
  EXPECT_EQ(resolved().training().learning_rate(), 1) << "the model's 2e-4 is AdamW's";
  EXPECT_EQ(resolved().dreambooth().text_encoder_learning_rate(), 1);
  spec.mutable_lora();
  EXPECT_EQ(resolved().lora().text_encoder_learning_rate(), 1);
  spec.mutable_training()->set_learning_rate(0.5);
  EXPECT_EQ(resolved().training().learning_rate(), 0.5);
  EXPECT_EQ(resolved().lora().text_encoder_learning_rate(), 0.5);
  const auto once = ResolveFineTune(spec, Model());
  EXPECT_TRUE(MessageDifferencer::Equals(once, ResolveFineTune(once.fine_tune(), Model())));
}

TEST(ResolveTest, ARecommendedRateIsThatOfTheRecommendedOptimizer) {
  auto model = Model();
  auto& recommended = *model.defaults.fine_tune.mutable_training();
  recommended.set_optimizer(v1::OPTIMIZER_PRODIGY);
  recommended.set_learning_rate(1);
  auto spec = Spec();
  const auto training = [&] { return ResolveFineTune(spec, model).fine_tune().training(); };
  EXPECT_EQ(training().learning_rate(), 1);
  recommended.clear_learning_rate();
  EXPECT_EQ(training().learning_rate(), 1) << "not DreamBooth's 5e-6";
  recommended.set_learning_rate(1);
  spec.mutable_training()->set_optimizer(v1::OPTIMIZER_ADAMW);
  EXPECT_EQ(training().learning_rate(), 5e-6) << "the model's 1 is Prodigy's";
  spec.mutable_training()->clear_optimizer();
  spec.mutable_lora();
  EXPECT_EQ(training().optimizer(), v1::OPTIMIZER_ADAMW) << "Prodigy is for DreamBooth";
  EXPECT_EQ(training().learning_rate(), 1e-4);
  auto& own = model.defaults.methods["lora"];
  own.mutable_training()->set_optimizer(v1::OPTIMIZER_PRODIGY);
  own.mutable_lora()->set_text_encoder_learning_rate(0.5);
  EXPECT_EQ(training().learning_rate(), 1);
  EXPECT_EQ(ResolveFineTune(spec, model).fine_tune().lora().text_encoder_learning_rate(), 1);
  const auto once = ResolveFineTune(spec, model);
  EXPECT_TRUE(MessageDifferencer::Equals(once, ResolveFineTune(once.fine_tune(), model)));
}

TEST(ResolveTest, ARecommendedRuleOfTheValidationLossIsForJobsWithValidationPhotos) {
  auto spec = Spec();
  auto model = Model();
  model.defaults.fine_tune.mutable_training()->set_stop_rule(v1::STOP_RULE_PLATEAU);
  const auto rule = [&] { return ResolveFineTune(spec, model).fine_tune().training().stop_rule(); };
  EXPECT_EQ(rule(), v1::STOP_RULE_LAST);
  spec.mutable_subjects(0)->add_validation_photos();
  EXPECT_EQ(rule(), v1::STOP_RULE_PLATEAU);
}

TEST(ResolveTest, OfSeveralSubjectsEachKeepsItsOwnWords) {
  auto spec = Spec();
  v1::Subject& other = *spec.add_subjects();
  other.set_token("abc");
  other.set_class_noun("cat");
  spec.mutable_textual_inversion();
  spec.mutable_previews()->set_every_steps(10);
  const auto resolved = ResolveFineTune(spec, Model()).fine_tune();
  ASSERT_EQ(resolved.subjects_size(), 2);
  EXPECT_EQ(resolved.subjects(0).token(), "zwx") << "which the model recommends";
  EXPECT_EQ(resolved.subjects(0).photos_size(), 1);
  EXPECT_EQ(resolved.subjects(1).token(), "abc");
  EXPECT_EQ(resolved.subjects(1).class_noun(), "cat");
  EXPECT_FALSE(resolved.textual_inversion().has_initial_text());
  EXPECT_EQ(resolved.prior().class_prompt(), "a {class}");
  EXPECT_THAT(resolved.previews().prompts(), testing::ElementsAre("a {subject1}", "a {subject2}"));
  EXPECT_TRUE(MessageDifferencer::Equals(ResolveFineTune(resolved, Model()).fine_tune(), resolved));
}

TEST(ResolveTest, OneWeightingOfTheLossReplacesTheOther) {
  auto spec = Spec();
  auto model = Model();
  model.defaults.fine_tune.mutable_training()->set_snr_gamma(5);
  spec.mutable_training()->set_debiased_estimation(true);
  EXPECT_EQ(ResolveFineTune(spec, model).fine_tune().training().snr_gamma(), 0);
  model.defaults.fine_tune.mutable_training()->set_snr_gamma(0);
  model.defaults.fine_tune.mutable_training()->set_debiased_estimation(true);
  spec.mutable_training()->clear_debiased_estimation();
  spec.mutable_training()->set_snr_gamma(5);
  EXPECT_FALSE(ResolveFineTune(spec, model).fine_tune().training().debiased_estimation());
}

TEST(ResolveTest, TheFusedBackwardPassSettlesWhatItNeeds) {
  auto spec = Spec();
  auto model = Model();
  model.defaults.fine_tune.mutable_training()->set_max_grad_norm(2);
  model.defaults.fine_tune.mutable_training()->set_gradient_accumulation_steps(4);
  spec.mutable_training()->set_fused_backward_pass(true);
  auto training = ResolveFineTune(spec, model).fine_tune().training();
  EXPECT_EQ(training.max_grad_norm(), 0);
  EXPECT_EQ(training.gradient_accumulation_steps(), 1);
  // Recommended, it gives way to what a job asks for.
  model.defaults.fine_tune.mutable_training()->set_fused_backward_pass(true);
  spec.mutable_training()->clear_fused_backward_pass();
  spec.mutable_training()->set_max_grad_norm(1);
  training = ResolveFineTune(spec, model).fine_tune().training();
  EXPECT_FALSE(training.fused_backward_pass());
  EXPECT_EQ(training.max_grad_norm(), 1);
  spec.mutable_training()->clear_max_grad_norm();
  EXPECT_EQ(ResolveFineTune(spec, model).fine_tune().training().max_grad_norm(), 0);
}

TEST(ResolveTest, ARecommendedPrecisionGivesWayWhereItCannotBe) {
  auto model = Model();
  auto& recommended = *model.defaults.fine_tune.mutable_training();
  recommended.set_precision(v1::PRECISION_BF16_WEIGHTS);
  auto spec = Spec();
  const auto precision = [&] {
    return ResolveFineTune(spec, model).fine_tune().training().precision();
  };
  EXPECT_EQ(precision(), v1::PRECISION_BF16_WEIGHTS);
  spec.mutable_lora();
  EXPECT_NE(precision(), v1::PRECISION_BF16_WEIGHTS);
  spec.clear_lora();
  recommended.set_precision(v1::PRECISION_FP16);
  EXPECT_EQ(precision(), v1::PRECISION_FP16);
  spec.mutable_training()->set_fused_backward_pass(true);
  EXPECT_EQ(precision(), v1::PRECISION_FP32);
  recommended.set_fused_backward_pass(true);
  spec.mutable_training()->clear_fused_backward_pass();
  spec.mutable_training()->set_precision(v1::PRECISION_FP16);
  EXPECT_EQ(precision(), v1::PRECISION_FP16);
  EXPECT_FALSE(ResolveFineTune(spec, model).fine_tune().training().fused_backward_pass());
}

TEST(ResolveTest, EveryMethodResolvesToItselfOnceMore) {
  for (const std::string& method : FineTuneMethods()) {
    auto spec = Spec();
    const auto* field = v1::FineTuneSpec::descriptor()->FindFieldByName(method);
    spec.GetReflection()->MutableMessage(&spec, field);
    auto model = Model();
    model.defaults.methods[method].mutable_training()->set_warmup_steps(3);
    const auto once = ResolveFineTune(spec, model);
    EXPECT_EQ(MethodOf(once.fine_tune()), method);
    EXPECT_EQ(once.fine_tune().training().warmup_steps(), method == "dreambooth" ? 0 : 3);
    EXPECT_TRUE(MessageDifferencer::Equals(once, ResolveFineTune(once.fine_tune(), model)))
        << method;
  }
}

TEST(ResolveTest, WhatPivotalTuningIsMadeOfIsResolvedAsByItself) {
  auto spec = Spec();
  auto& asked = *spec.mutable_pivotal_tuning();
  asked.mutable_lora()->set_variant(v1::LORA_VARIANT_LOKR);
  asked.mutable_lora()->set_rank(4);
  const auto resolved = ResolveFineTune(spec, Model()).fine_tune().pivotal_tuning();
  EXPECT_EQ(resolved.lora().alpha(), 4);
  EXPECT_EQ(resolved.lora().lokr_factor(), 8);
  EXPECT_EQ(resolved.textual_inversion().initial_text(), "dog");
  EXPECT_EQ(resolved.vectors_learning_rate(), 5e-4);
}

TEST(ResolveTest, ARankOfTheNoisiestTimestepIsOfPlainLora) {
  auto model = Model();
  auto& advice = *model.defaults.methods["lora"].mutable_lora();
  advice.set_min_rank(8);
  auto spec = Spec();
  auto& asked = *spec.mutable_lora();
  const auto lora = [&] { return ResolveFineTune(spec, model).fine_tune().lora(); };
  EXPECT_EQ(lora().min_rank(), 8);
  asked.set_rank(4);  // what the model recommends is above it
  EXPECT_FALSE(lora().has_min_rank());
  asked.set_rank(16);
  asked.set_variant(v1::LORA_VARIANT_DORA);
  EXPECT_FALSE(lora().has_min_rank());
  asked.clear_variant();
  asked.set_min_rank(2);
  advice.set_variant(v1::LORA_VARIANT_DORA);
  EXPECT_EQ(lora().variant(), v1::LORA_VARIANT_LORA);
  EXPECT_EQ(lora().min_rank(), 2);
}

TEST(ResolveTest, ALearnedWordBeginsAsTheClassNounAndHasNoPrior) {
  auto spec = Spec();
  spec.mutable_textual_inversion();
  auto model = Model();
  model.defaults.fine_tune.mutable_prior()->set_weight(0.5);
  const auto resolved = ResolveFineTune(spec, model);
  const auto& word = resolved.fine_tune();
  EXPECT_EQ(word.training().steps(), 3000);
  EXPECT_EQ(word.training().learning_rate(), 5e-4);
  EXPECT_EQ(word.prior().weight(), 0);
  EXPECT_EQ(word.textual_inversion().vectors(), 1);
  EXPECT_EQ(word.textual_inversion().initial_text(), "dog");
  EXPECT_TRUE(MessageDifferencer::Equals(resolved, ResolveFineTune(word, model)));
}

TEST(ResolveTest, OffersNameTheSettingsOfEveryMethod) {
  v1::BaseModel offer;
  AddDefaults(Model(), offer);
  EXPECT_EQ(offer.fine_tune_defaults().training().steps(), 200);
  ASSERT_EQ(offer.other_fine_tune_defaults_size(), 6);
  EXPECT_EQ(offer.other_fine_tune_defaults(0).lora().rank(), 16);
  EXPECT_EQ(offer.other_fine_tune_defaults(1).textual_inversion().vectors(), 1);
}

TEST(ResolveTest, OffersNameMicroConditioningWhereTheModelHasIt) {
  auto model = Model();
  for (const bool has : {false, true}) {
    model.micro_conditioning = has;
    v1::BaseModel offer;
    AddDefaults(model, offer);
    EXPECT_EQ(offer.fine_tune_defaults().training().has_micro_conditioning(), has);
    EXPECT_EQ(offer.other_fine_tune_defaults(0).training().has_micro_conditioning(), has);
  }
}

}  // namespace
}  // namespace likeness
