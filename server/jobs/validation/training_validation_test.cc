#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

using ::testing::HasSubstr;

// What is wrong with a spec.
std::string WrongWith(const std::function<void(v1::FineTuneSpec&)>& set) {
  v1::FineTuneSpec spec;
  set(spec);
  FieldChecker checker;
  CheckTraining(spec.training(), "training", {}, checker);
  CheckPrior(spec.prior(), "prior", {}, checker);
  return std::string(checker.status().message());
}

TEST(TrainingValidationTest, EverySettingIsTakenInItsRange) {
  EXPECT_EQ(WrongWith([](v1::FineTuneSpec& spec) {
              v1::Training& training = *spec.mutable_training();
              training.set_optimizer(v1::OPTIMIZER_ADAFACTOR);
              training.set_learning_rate_schedule(v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS);
              training.set_schedule_cycles(1000);
              training.set_noise_offset(1);
              training.set_input_perturbation(0);
              training.set_debiased_estimation(true);
              training.set_snr_gamma(0);
              training.set_ema_decay(0.9999);
              training.set_alpha_masks(true);
              training.set_unmasked_weight(1);
              training.set_gradient_checkpointing(true);
              training.set_horizontal_flips(true);
              training.set_caption_dropout(0.1);
              spec.mutable_prior()->set_kind(v1::PRIOR_KIND_BASE_PREDICTION);
            }),
            "");
}

TEST(TrainingValidationTest, WhatIsOutOfRangeIsRefusedByItsField) {
  using Set = std::function<void(v1::FineTuneSpec&)>;
  const std::pair<Set, const char*> wrong[] = {
      {[](auto& s) { s.mutable_training()->set_optimizer(static_cast<v1::Optimizer>(99)); },
       "training.optimizer"},
      {[](auto& s) { s.mutable_training()->set_schedule_cycles(0); }, "training.schedule_cycles"},
      {[](auto& s) { s.mutable_training()->set_noise_offset(1.5); }, "training.noise_offset"},
      {[](auto& s) { s.mutable_training()->set_input_perturbation(-1); },
       "training.input_perturbation"},
      {[](auto& s) { s.mutable_training()->set_unmasked_weight(1.5); }, "training.unmasked_weight"},
      {[](auto& s) { s.mutable_training()->set_ema_decay(1); }, "training.ema_decay"},
      {[](auto& s) { s.mutable_training()->set_caption_dropout(1); }, "training.caption_dropout"},
      {[](auto& s) { s.mutable_prior()->set_kind(static_cast<v1::PriorKind>(9)); }, "prior.kind"},
      {[](auto& s) {
         s.mutable_training()->set_debiased_estimation(true);
         s.mutable_training()->set_snr_gamma(5);
       },
       "training.debiased_estimation"},
      {[](auto& s) {
         s.mutable_training()->set_learning_rate_schedule(v1::LEARNING_RATE_SCHEDULE_POLYNOMIAL);
         s.mutable_training()->set_learning_rate(1e-7);
       },
       "training.learning_rate"},
  };
  for (const auto& [set, field] : wrong) EXPECT_THAT(WrongWith(set), HasSubstr(field));
}

TEST(TrainingValidationTest, AHypernetworksUnknownValuesAreRefusedByTheirFields) {
  const auto wrong = [](const std::function<void(v1::Hypernetwork&)>& set) {
    v1::FineTuneSpec spec;
    set(*spec.mutable_hypernetwork());
    FieldChecker checker;
    CheckMethod(spec, "job.fine_tune", checker);
    return std::string(checker.status().message());
  };
  EXPECT_EQ(wrong([](auto& h) {
              h.set_activation(v1::HYPERNETWORK_ACTIVATION_TANHSHRINK);
              h.set_weight_initialization(v1::WEIGHT_INITIALIZATION_KAIMING_NORMAL);
              h.set_activate_output(true);
              h.set_last_layer_dropout(false);
            }),
            "");
  EXPECT_THAT(wrong([](auto& h) { h.set_activation(static_cast<v1::HypernetworkActivation>(99)); }),
              HasSubstr("job.fine_tune.hypernetwork.activation"));
  EXPECT_THAT(
      wrong([](auto& h) { h.set_weight_initialization(static_cast<v1::WeightInitialization>(6)); }),
      HasSubstr("job.fine_tune.hypernetwork.weight_initialization"));
}

TEST(TrainingValidationTest, RulesOfTheValidationLossNeedValidationPhotos) {
  v1::FineTuneSpec spec;
  spec.add_subjects()->set_class_noun("dog");
  spec.mutable_subjects(0)->add_photos()->set_blob("tenants/default/blobs/" + std::string(64, 'a'));
  spec.mutable_training()->set_stop_rule(v1::STOP_RULE_PLATEAU);
  const auto wrong = [&] {
    FieldChecker checker;
    CheckFineTune(spec, "job.fine_tune", {}, checker);
    return std::string(checker.status().message());
  };
  EXPECT_THAT(wrong(), HasSubstr("job.fine_tune.training.stop_rule: is STOP_RULE_PLATEAU, which "
                                 "needs validation_photos"));
  *spec.mutable_subjects(0)->add_validation_photos() = spec.subjects(0).photos(0);
  EXPECT_EQ(wrong(), "");
}

TEST(TrainingValidationTest, TheTextEncodersStepsAreOfOneThatIsTrained) {
  const auto wrong = [](const std::function<void(v1::FineTuneSpec&)>& set) {
    v1::FineTuneSpec spec;
    set(spec);
    FieldChecker checker;
    CheckMethod(spec, "job.fine_tune", checker);
    return std::string(checker.status().message());
  };
  EXPECT_EQ(wrong([](auto& s) { s.mutable_dreambooth()->set_text_encoder_steps(100'000); }), "");
  EXPECT_THAT(wrong([](auto& s) { s.mutable_dreambooth()->set_text_encoder_steps(0); }),
              HasSubstr("dreambooth.text_encoder_steps: is 0; 1 to 100000"));
  EXPECT_THAT(wrong([](auto& s) {
                s.mutable_lora()->set_text_encoder_steps(5);
                s.mutable_lora()->set_train_text_encoder(false);
              }),
              HasSubstr("lora.text_encoder_steps: is set, but train_text_encoder is false"));
  EXPECT_THAT(
      wrong([](auto& s) { s.mutable_pivotal_tuning()->mutable_lora()->set_text_encoder_steps(5); }),
      HasSubstr("pivotal_tuning.lora.text_encoder_steps"));
}

TEST(TrainingValidationTest, SettingsThatSaveMemoryAreJudgedTogether) {
  v1::FineTuneSpec spec;
  spec.add_subjects()->set_class_noun("dog");
  spec.mutable_subjects(0)->add_photos()->set_blob("tenants/default/blobs/" + std::string(64, 'a'));
  spec.mutable_training()->set_fused_backward_pass(true);
  const auto wrong = [&] {
    FieldChecker checker;
    CheckFineTune(spec, "job.fine_tune", {}, checker);
    return std::string(checker.status().message());
  };
  EXPECT_EQ(wrong(), "");
  spec.mutable_training()->set_precision(v1::PRECISION_FP16);
  EXPECT_THAT(wrong(), HasSubstr("job.fine_tune.training.precision: is PRECISION_FP16; with "
                                 "fused_backward_pass PRECISION_FP32"));
}

TEST(TrainingValidationTest, AMemoryBudgetIsAtLeastAMebibyte) {
  const auto wrong = [](int64_t bytes) {
    return WrongWith([bytes](v1::FineTuneSpec& spec) {
      spec.mutable_training()->set_memory_budget_bytes(bytes);
    });
  };
  EXPECT_EQ(wrong(1 << 20), "");
  EXPECT_EQ(wrong(int64_t{80} << 30), "");
  for (const int64_t bytes : {int64_t{-1}, int64_t{0}, int64_t{(1 << 20) - 1}}) {
    EXPECT_THAT(wrong(bytes), HasSubstr("training.memory_budget_bytes: is " +
                                        std::to_string(bytes) + "; 1048576 to "));
  }
}

TEST(TrainingValidationTest, AMaskHasNothingOfItsOwn) {
  const std::string blob = "tenants/default/blobs/" + std::string(64, 'a');
  const auto wrong = [&](const std::function<void(v1::Photo & mask)>& set) {
    v1::Photo photo;
    photo.set_blob(blob);
    photo.mutable_mask()->set_blob(blob);
    set(*photo.mutable_mask());
    FieldChecker checker;
    CheckPhoto(photo, "photo", {}, checker);
    return std::string(checker.status().message());
  };
  EXPECT_EQ(wrong([](auto&) {}), "");
  EXPECT_THAT(wrong([](auto& mask) { mask.set_caption("a dog"); }),
              HasSubstr("photo.mask.caption"));
  EXPECT_THAT(wrong([](auto& mask) { mask.mutable_crop_box()->set_width(64); }),
              HasSubstr("photo.mask.crop_box"));
  EXPECT_THAT(wrong([&](auto& mask) { mask.mutable_mask()->set_blob(blob); }),
              HasSubstr("photo.mask.mask"));
  EXPECT_THAT(wrong([](auto& mask) { mask.clear_blob(); }), HasSubstr("photo.mask"));
}

TEST(TrainingValidationTest, ProdigyFindsOneRateForAll) {
  const auto wrong = [](const std::function<void(v1::FineTuneSpec&)>& set) {
    v1::FineTuneSpec spec;
    spec.mutable_training()->set_optimizer(v1::OPTIMIZER_PRODIGY);
    set(spec);
    FieldChecker checker;
    CheckProdigy(spec, &v1::Training::default_instance(), "job.fine_tune", checker);
    return std::string(checker.status().message());
  };
  EXPECT_THAT(wrong([](auto& s) { s.mutable_lora()->set_up_learning_rate_ratio(16); }),
              HasSubstr("lora.up_learning_rate_ratio"));
  EXPECT_THAT(wrong([](auto& s) {
                s.mutable_pivotal_tuning()->mutable_lora()->set_up_learning_rate_ratio(16);
              }),
              HasSubstr("pivotal_tuning.lora.up_learning_rate_ratio"));
  EXPECT_THAT(wrong([](auto& s) { s.mutable_pivotal_tuning()->set_vectors_learning_rate(5e-4); }),
              HasSubstr("pivotal_tuning.vectors_learning_rate"));
  const auto lora_rate = [](v1::FineTuneSpec& s) {
    s.mutable_lora()->set_train_text_encoder(true);
    s.mutable_lora()->set_text_encoder_learning_rate(0.5);
  };
  EXPECT_THAT(wrong(lora_rate), HasSubstr("lora.text_encoder_learning_rate"));
  EXPECT_THAT(wrong([](auto& s) {
                s.mutable_dreambooth()->set_train_text_encoder(true);
                s.mutable_dreambooth()->set_text_encoder_learning_rate(0.5);
              }),
              HasSubstr("dreambooth.text_encoder_learning_rate"));

  EXPECT_EQ(wrong([](auto& s) { s.mutable_lora()->set_up_learning_rate_ratio(1); }), "");
  EXPECT_EQ(wrong([&](auto& s) {
              lora_rate(s);
              s.mutable_training()->set_learning_rate(0.5);
            }),
            "");
  EXPECT_EQ(wrong([&](auto& s) {
              lora_rate(s);
              s.mutable_training()->set_optimizer(v1::OPTIMIZER_ADAMW);
            }),
            "");
}

TEST(TrainingValidationTest, TheRateOfProdigyMayBeRecommendedByTheBaseModel) {
  v1::FineTuneSpec spec;
  spec.mutable_training()->set_optimizer(v1::OPTIMIZER_PRODIGY);
  spec.mutable_dreambooth()->set_train_text_encoder(true);
  spec.mutable_dreambooth()->set_text_encoder_learning_rate(0.5);
  v1::Training recommended;
  const auto wrong = [&](const v1::Training* by_the_model) {
    FieldChecker checker;
    CheckProdigy(spec, by_the_model, "job.fine_tune", checker);
    return std::string(checker.status().message());
  };
  EXPECT_EQ(wrong(nullptr), "");
  recommended.set_learning_rate(0.5);
  recommended.set_optimizer(v1::OPTIMIZER_ADAMW);
  EXPECT_THAT(wrong(&recommended), HasSubstr("only 1, the learning rate"));
  recommended.set_optimizer(v1::OPTIMIZER_PRODIGY);
  EXPECT_EQ(wrong(&recommended), "");
  recommended.set_learning_rate(2);
  EXPECT_THAT(wrong(&recommended), HasSubstr("only 2, the learning rate"));
}

TEST(TrainingValidationTest, ClassPhotosTakeThePlaceOfDrawnImages) {
  const auto wrong = [](int photos, const std::function<void(v1::Prior&)>& set) {
    return WrongWith([&](v1::FineTuneSpec& spec) {
      v1::Prior& prior = *spec.mutable_prior();
      for (int i = 0; i < photos; ++i) {
        prior.add_class_photos()->set_blob("tenants/default/blobs/" + std::string(64, 'a'));
      }
      set(prior);
    });
  };
  EXPECT_EQ(wrong(2000, [](auto&) {}), "");
  EXPECT_THAT(wrong(2001, [](auto&) {}), HasSubstr("prior.class_photos: "));
  EXPECT_EQ(wrong(1, [](auto& p) { p.set_kind(v1::PRIOR_KIND_CLASS_IMAGES); }), "");
  EXPECT_EQ(wrong(1, [](auto& p) { p.set_weight(0.5); }), "");
  EXPECT_THAT(wrong(1, [](auto& p) { p.set_class_images(1); }),
              HasSubstr("prior.class_images: excludes class_photos"));
  EXPECT_THAT(wrong(1, [](auto& p) { p.set_sampler("ddim"); }),
              HasSubstr("prior.sampler: excludes class_photos"));
  EXPECT_THAT(wrong(1, [](auto& p) { p.set_sampling_steps(20); }),
              HasSubstr("prior.sampling_steps: excludes class_photos"));
  EXPECT_THAT(wrong(1, [](auto& p) { p.set_guidance(3); }),
              HasSubstr("prior.guidance: excludes class_photos"));
  EXPECT_THAT(wrong(1, [](auto& p) { p.set_eta(1); }),
              HasSubstr("prior.eta: excludes class_photos"));
  EXPECT_THAT(wrong(1, [](auto& p) { p.set_kind(v1::PRIOR_KIND_BASE_PREDICTION); }),
              HasSubstr("prior.kind: is PRIOR_KIND_BASE_PREDICTION"));
  EXPECT_THAT(wrong(2, [](auto& p) { p.mutable_class_photos(1)->set_blob("x"); }),
              HasSubstr("prior.class_photos[1].blob"));
  EXPECT_THAT(wrong(2, [](auto& p) { p.mutable_class_photos(1)->set_caption("a {subject}"); }),
              HasSubstr("prior.class_photos[1].caption: holds {subject}"));
  EXPECT_THAT(
      wrong(2, [](auto& p) { *p.mutable_class_photos(1)->mutable_mask() = p.class_photos(0); }),
      HasSubstr("prior.class_photos[1].mask: is not allowed"));
}

TEST(TrainingValidationTest, ClassPhotosAreOfOneClass) {
  const std::string blob = "tenants/default/blobs/" + std::string(64, 'a');
  v1::FineTuneSpec spec;
  for (const char* token : {"abc", "zwx"}) {
    v1::Subject& subject = *spec.add_subjects();
    subject.set_token(token);
    subject.set_class_noun("dog");
    subject.add_photos()->set_blob(blob);
  }
  spec.mutable_prior()->add_class_photos()->set_blob(blob);
  const auto wrong = [&] {
    FieldChecker checker;
    CheckFineTune(spec, "job.fine_tune", {}, checker);
    return std::string(checker.status().message());
  };
  EXPECT_EQ(wrong(), "");
  spec.mutable_subjects(1)->set_class_noun("cat");
  EXPECT_THAT(wrong(), HasSubstr("job.fine_tune.prior.class_photos: are images of one class"));
}

}  // namespace
}  // namespace likeness::server
