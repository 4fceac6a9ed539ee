#include "worker/jobs/engine_options.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/job_spec.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/jobs/resolve.h"
#include "worker/nn/named_activations.h"
#include "worker/training/optimizer_table.h"
#include "worker/training/weight_initialization.h"

namespace likeness {
namespace {

TEST(EngineOptionsTest, EmptyNegativePromptIsNotTheSameAsNone) {
  const ModelFacts model{
      .name = "baseModels/mini", .digest = "d", .image_size = 64, .defaults = {}};
  v1::GenerateSpec spec;
  spec.add_prompts("a dog");
  const auto asked = [&] {
    return GenerateOrder(ResolveGenerate(spec, model).generate(), {}).negative_prompt;
  };
  EXPECT_EQ(asked(), std::nullopt);
  spec.set_negative_prompt("");
  EXPECT_EQ(asked(), "");
  spec.set_negative_prompt("blur");
  EXPECT_EQ(asked(), "blur");
}

TEST(EngineOptionsTest, ANegativePromptIsFilledInAsPromptsAre) {
  v1::GenerateSpec spec;
  spec.set_negative_prompt("a second {subject}, {class} toys");
  EXPECT_EQ(GenerateOrder(spec, {.token = "zwx", .class_noun = "dog"}).negative_prompt,
            "a second zwx dog, dog toys");
  v1::FineTuneSpec learned;
  v1::Subject& subject = *learned.add_subjects();
  subject.set_token("zwx");
  subject.set_class_noun("dog");
  learned.mutable_samples()->set_negative_prompt("a second {subject}");
  EXPECT_EQ(SampleOrder(learned).negative_prompt, "a second zwx dog");
  EXPECT_EQ(ToFineTuneOptions(learned, {}).previews.negative_prompt, "a second zwx dog");
}

TEST(EngineOptionsTest, ANewWordIsLearnedInFloat32) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  spec.mutable_training()->set_precision(v1::PRECISION_BF16);
  EXPECT_EQ(ToFineTuneOptions(spec, {}).precision, TrainingPrecision::kBfloat16);
  spec.mutable_textual_inversion()->set_vectors(1);
  EXPECT_EQ(ToFineTuneOptions(spec, {}).precision, TrainingPrecision::kFloat32);
}

TEST(EngineOptionsTest, EveryPrecisionIsTheEngines) {
  const std::pair<v1::Precision, const char*> names[] = {
      {v1::PRECISION_UNSPECIFIED, "fp32"},
      {v1::PRECISION_FP32, "fp32"},
      {v1::PRECISION_BF16, "bf16"},
      {v1::PRECISION_FP16, "fp16"},
      {v1::PRECISION_BF16_WEIGHTS, "bf16_weights"}};
  for (const auto& [precision, name] : names) {
    v1::FineTuneSpec spec;
    spec.add_subjects();
    spec.mutable_training()->set_precision(precision);
    EXPECT_STREQ(TrainingPrecisionName(ToFineTuneOptions(spec, {}).precision), name);
  }
}

TEST(EngineOptionsTest, EverySettingOfTrainingReachesTheEngine) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  const FineTuneOptions before = ToFineTuneOptions(spec, {});
  EXPECT_EQ(before.optimizer.name, "adamw");
  EXPECT_EQ(before.lr_cycles, 1);
  v1::Training& training = *spec.mutable_training();
  training.set_noise_offset(0.1);
  training.set_input_perturbation(0.2);
  training.set_debiased_estimation(true);
  training.set_ema_decay(0.3);
  training.set_gradient_checkpointing(true);
  training.set_schedule_cycles(4);
  training.set_learning_rate_schedule(v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS);
  training.set_horizontal_flips(true);
  training.set_caption_dropout(0.5);
  training.set_unmasked_weight(0.6);
  training.set_alpha_masks(true);
  training.set_aspect_ratio_buckets(true);
  training.set_fused_backward_pass(true);
  spec.mutable_prior()->set_kind(v1::PRIOR_KIND_BASE_PREDICTION);
  const FineTuneOptions options = ToFineTuneOptions(spec, {});
  EXPECT_EQ(options.draws.noise_offset, 0.1);
  EXPECT_EQ(options.draws.input_perturbation, 0.2);
  EXPECT_TRUE(options.draws.horizontal_flips);
  EXPECT_EQ(options.draws.caption_dropout, 0.5);
  EXPECT_TRUE(options.debiased_estimation);
  EXPECT_EQ(options.unmasked_weight, 0.6);
  EXPECT_TRUE(options.fused_backward_pass);
  EXPECT_TRUE(options.aspect_ratio_buckets);
  EXPECT_TRUE(PhotoRulesOf(spec, 64).aspect_ratio_buckets);
  EXPECT_TRUE(PhotoRulesOf(spec, 64).alpha_masks);
  EXPECT_EQ(PhotoRulesOf(spec, 64).unmasked_weight, spec.training().unmasked_weight());
  EXPECT_EQ(options.ema_decay, 0.3);
  EXPECT_TRUE(options.gradient_checkpointing);
  EXPECT_EQ(options.lr_decay, LrDecay::kCosineWithRestarts);
  EXPECT_EQ(options.lr_cycles, 4);
  EXPECT_EQ(options.prior_kind, PriorKind::kBasePrediction);
}

TEST(EngineOptionsTest, EverySubjectReachesTheEngine) {
  v1::FineTuneSpec spec;
  spec.add_subjects()->set_token("zwx");
  spec.mutable_subjects(0)->set_class_noun("dog");
  spec.add_subjects()->set_token("abc");
  spec.mutable_subjects(1)->set_class_noun("cat");
  spec.mutable_prior()->set_class_prompt("a {class} outside");
  spec.mutable_samples()->add_prompts("{subject} beside {subject2}");
  std::vector<SubjectPhotos> photos(2);
  photos[1].training.push_back({});
  const FineTuneOptions options = ToFineTuneOptions(spec, photos);
  EXPECT_EQ(options.InstancePrompt(), "a zwx dog");
  EXPECT_EQ(options.ClassPrompt(), "a dog outside");
  ASSERT_EQ(options.other_subjects.size(), 1u);
  EXPECT_EQ(options.other_subjects[0].InstancePrompt(), "a abc cat");
  EXPECT_EQ(options.other_subjects[0].ClassPrompt(), "a cat outside");
  EXPECT_EQ(options.other_subjects[0].photos.size(), 1u);
  EXPECT_EQ(SampleOrder(spec).prompts.at(0), "zwx dog beside abc cat");
}

TEST(EngineOptionsTest, StopRulesAndStepsOfTextEncodersReachTheEngine) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  const auto options = [&] { return ToFineTuneOptions(spec, {}); };
  EXPECT_FALSE(options().lowest_validation_loss);
  EXPECT_EQ(options().text_encoder_steps, std::nullopt);
  spec.mutable_training()->set_stop_rule(v1::STOP_RULE_LOWEST_VALIDATION_LOSS);
  EXPECT_TRUE(options().lowest_validation_loss);
  EXPECT_EQ(options().patience, 0);
  spec.mutable_training()->set_stop_rule(v1::STOP_RULE_PLATEAU);
  EXPECT_TRUE(options().lowest_validation_loss);
  EXPECT_EQ(options().patience, 3);
  spec.mutable_dreambooth()->set_text_encoder_steps(7);
  EXPECT_EQ(options().text_encoder_steps, 7);
  spec.mutable_lora()->set_text_encoder_steps(8);
  EXPECT_EQ(options().text_encoder_steps, 8);
}

// Each value of the contract's is one that the engine knows, and another than the others.
TEST(EngineOptionsTest, EveryOptimizerAndScheduleOfTheContractIsTheEngines) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  std::set<std::string> optimizers;
  std::set<LrDecay> schedules;
  const auto* values = v1::Optimizer_descriptor();
  for (int i = 1; i < values->value_count(); ++i) {
    spec.mutable_training()->set_optimizer(static_cast<v1::Optimizer>(values->value(i)->number()));
    const std::string name = ToFineTuneOptions(spec, {}).optimizer.name;
    EXPECT_EQ(FindOptimizer(name).name, name);
    optimizers.insert(name);
  }
  EXPECT_EQ(static_cast<int>(optimizers.size()), values->value_count() - 1);
  const auto* rows = v1::LearningRateSchedule_descriptor();
  for (int i = 1; i < rows->value_count(); ++i) {
    spec.mutable_training()->set_learning_rate_schedule(
        static_cast<v1::LearningRateSchedule>(rows->value(i)->number()));
    schedules.insert(ToFineTuneOptions(spec, {}).lr_decay);
  }
  EXPECT_EQ(static_cast<int>(schedules.size()), rows->value_count() - 1);
}

TEST(EngineOptionsTest, EveryActivationAndInitializationOfTheContractIsTheEngines) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  auto& hypernetwork = *spec.mutable_hypernetwork();
  std::set<std::string> activations, initializations;
  const auto* values = v1::HypernetworkActivation_descriptor();
  for (int i = 1; i < values->value_count(); ++i) {
    hypernetwork.set_activation(
        static_cast<v1::HypernetworkActivation>(values->value(i)->number()));
    const std::string name = ToFineTuneOptions(spec, {}).hypernetwork.activation;
    EXPECT_NE(FindActivation(name), nullptr) << name;
    activations.insert(name);
  }
  EXPECT_EQ(activations.size(), NamedActivations().size());
  const auto* rows = v1::WeightInitialization_descriptor();
  for (int i = 1; i < rows->value_count(); ++i) {
    hypernetwork.set_weight_initialization(
        static_cast<v1::WeightInitialization>(rows->value(i)->number()));
    const std::string name = ToFineTuneOptions(spec, {}).hypernetwork.weight_initialization;
    EXPECT_NE(FindWeightInitialization(name), nullptr) << name;
    initializations.insert(name);
  }
  EXPECT_EQ(initializations.size(), WeightInitializations().size());
}

TEST(EngineOptionsTest, SettingsOfAHypernetworkReachTheEngine) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  auto& hypernetwork = *spec.mutable_hypernetwork();
  const auto options = [&] { return ToFineTuneOptions(spec, {}).hypernetwork; };
  EXPECT_EQ(options().activation, "linear");
  EXPECT_EQ(options().weight_initialization, "normal");
  EXPECT_FALSE(options().activate_output);
  EXPECT_TRUE(options().last_layer_dropout);
  hypernetwork.set_activate_output(true);
  hypernetwork.set_last_layer_dropout(false);
  EXPECT_TRUE(options().activate_output);
  EXPECT_FALSE(options().last_layer_dropout);
}

// What a worker resolved before there were these settings, in `spec` as one resolves it today.
v1::FineTuneSpec AsOlderWorkersResolved(v1::FineTuneSpec spec) {
  v1::Training& training = *spec.mutable_training();
  training.clear_optimizer();
  training.clear_noise_offset();
  training.clear_input_perturbation();
  training.clear_debiased_estimation();
  training.clear_ema_decay();
  training.clear_gradient_checkpointing();
  training.clear_schedule_cycles();
  training.clear_horizontal_flips();
  training.clear_caption_dropout();
  training.clear_stop_rule();
  training.clear_alpha_masks();
  training.clear_aspect_ratio_buckets();
  training.clear_unmasked_weight();
  training.clear_fused_backward_pass();
  spec.mutable_prior()->clear_kind();
  if (spec.has_lora()) {
    spec.mutable_lora()->clear_variant();
    spec.mutable_lora()->clear_up_learning_rate_ratio();
    spec.mutable_lora()->clear_lokr_factor();
  }
  if (spec.has_hypernetwork()) {
    spec.mutable_hypernetwork()->clear_weight_initialization();
    spec.mutable_hypernetwork()->clear_activate_output();
    spec.mutable_hypernetwork()->clear_last_layer_dropout();
  }
  return spec;
}

std::set<std::string> KeysOf(const nlohmann::json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

// A job that goes on under a newer worker: what it was begun with is what it goes on with, and its
// checkpoints, which are told apart by these settings, stay its own.
TEST(EngineOptionsTest, WhatAnOlderWorkerResolvedIsReadAsItWas) {
  const ModelFacts model{.name = "baseModels/mini", .digest = "d", .image_size = 8, .defaults = {}};
  const std::vector<SubjectPhotos> photos = {
      {.training = {{.image = {8, 8, std::vector<uint8_t>(192)}}}, .validation = {}}};
  std::vector<v1::FineTuneSpec> specs(4);
  specs[1].mutable_lora();
  specs[2].mutable_textual_inversion();
  specs[3].mutable_hypernetwork();
  for (v1::FineTuneSpec& spec : specs) {
    MutableSubjectOf(spec).set_class_noun("dog");
    spec.mutable_training()->set_snr_gamma(5);
    const v1::FineTuneSpec today = ResolveFineTune(spec, model).fine_tune();
    SCOPED_TRACE(MethodOf(today));
    const auto options = ToFineTuneOptions(AsOlderWorkersResolved(today), photos);
    EXPECT_NO_THROW(Validate(options, model.image_size));
    const auto settings = SettingsJson(options);
    EXPECT_EQ(settings, SettingsJson(ToFineTuneOptions(today, photos)));

    std::set<std::string> keys = {
        "photos",        "validation_photos",  "steps",     "learning_rate",
        "batch_size",    "train_text_encoder", "compute",   "gradient_accumulation",
        "adam_betas",    "adam_epsilon",       "seed",      "weight_decay",
        "max_grad_norm", "lr_schedule",        "snr_gamma", "lr_warmup_steps",
        "prior_weight"};
    if (today.prior().weight() > 0) keys.insert("class_images");
    if (MakesAdapter(today)) keys.insert(MethodOf(today));
    EXPECT_EQ(KeysOf(settings), keys);
    if (today.has_lora()) {
      EXPECT_EQ(KeysOf(settings.at("lora")),
                (std::set<std::string>{"rank", "alpha", "dropout", "rank_stabilized", "targets"}));
    }
  }
}

TEST(EngineOptionsTest, EachNumberThatIsToldOfAPictureKeepsItsPlace) {
  v1::GenerateSpec spec;
  EXPECT_FALSE(GenerateOrder(spec, {}).micro_conditioning);
  v1::MicroConditioning& told = *spec.mutable_micro_conditioning();
  told.set_original_width(1);
  told.set_original_height(2);
  told.set_crop_left(3);
  told.set_crop_top(4);
  told.set_target_width(5);
  told.set_target_height(6);
  const auto ordered = GenerateOrder(spec, {}).micro_conditioning;
  ASSERT_TRUE(ordered);
  EXPECT_EQ(ordered->original_width, 1);
  EXPECT_EQ(ordered->original_height, 2);
  EXPECT_EQ(ordered->crop_left, 3);
  EXPECT_EQ(ordered->crop_top, 4);
  EXPECT_EQ(ordered->target_width, 5);
  EXPECT_EQ(ordered->target_height, 6);
}

TEST(EngineOptionsTest, PreviewsAreDrawnAsTheSamplesAre) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  auto& samples = *spec.mutable_samples();
  const auto previews = [&] { return ToFineTuneOptions(spec, {}).previews; };
  EXPECT_EQ(previews().negative_prompt, std::nullopt);
  for (const char* text : {"", "blur"}) {
    samples.set_negative_prompt(text);
    EXPECT_EQ(previews().negative_prompt, text);
  }
  samples.set_seed(7);
  samples.set_sampler("euler");
  samples.set_steps(9);
  samples.set_guidance(3);
  samples.set_eta(0.5);
  EXPECT_EQ(previews().seed, 7u);
  EXPECT_EQ(previews().sampler, "euler");
  EXPECT_EQ(previews().steps, 9);
  EXPECT_EQ(previews().guidance, 3);
  EXPECT_EQ(previews().eta, 0.5);
}

}  // namespace
}  // namespace likeness
