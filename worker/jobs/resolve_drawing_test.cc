// How the settings that pictures are drawn with are resolved.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "common/job_spec.h"
#include "worker/jobs/resolve.h"

namespace likeness {
namespace {

using google::protobuf::util::MessageDifferencer;

ModelFacts Model() {
  ModelFacts model{.name = "baseModels/mini",
                   .digest = "d1",
                   .image_size = 64,
                   .sampler = "plms",
                   .defaults = {}};
  model.defaults.generate.set_steps(25);
  return model;
}

v1::FineTuneSpec Spec() {
  v1::FineTuneSpec spec;
  MutableSubjectOf(spec).set_class_noun("dog");
  MutableSubjectOf(spec).add_photos()->set_blob("tenants/default/blobs/aa");
  return spec;
}

TEST(ResolveDrawingTest, TheSamplerIsTheJobsTheModelsOrTheCheckpointsOwn) {
  auto spec = Spec();
  auto model = Model();
  spec.mutable_prior()->set_sampler("DPM++ 2M Karras");
  model.defaults.fine_tune.mutable_samples()->set_sampler("euler");
  const auto resolved = ResolveFineTune(spec, model).fine_tune();
  EXPECT_EQ(resolved.prior().sampler(), "dpmpp_2m_karras");
  EXPECT_EQ(resolved.samples().sampler(), "euler");
  EXPECT_EQ(ResolveGenerate({}, model).generate().sampler(), "plms");
  model.sampler.clear();
  EXPECT_FALSE(ResolveGenerate({}, model).generate().has_sampler());
}

TEST(ResolveDrawingTest, EtaIsTheJobsTheModelsOrTheSamplersDefault) {
  auto model = Model();
  const auto drawn = [&](const std::string& sampler, std::optional<double> eta = {}) {
    v1::GenerateSpec spec;
    if (!sampler.empty()) spec.set_sampler(sampler);
    if (eta) spec.set_eta(*eta);
    return ResolveGenerate(spec, model).generate();
  };
  EXPECT_FALSE(drawn("").has_eta()) << "plms has none";
  EXPECT_TRUE(drawn("ddim").has_eta());
  EXPECT_EQ(drawn("ddim").eta(), 0);
  EXPECT_EQ(drawn("tcd").eta(), 0.3);
  EXPECT_EQ(drawn("tcd", 0).eta(), 0);
  EXPECT_EQ(drawn("DDIM", 0.5).eta(), 0.5);
  model.defaults.generate.set_eta(0.9);
  EXPECT_FALSE(drawn("").has_eta()) << "what is recommended gives way";
  model.defaults.generate.set_sampler("ddim");
  EXPECT_EQ(drawn("").eta(), 0.9);
  EXPECT_EQ(drawn("", 0.2).eta(), 0.2);
  EXPECT_EQ(drawn("tcd").eta(), 0.3) << "it is recommended for another sampler";
  EXPECT_EQ(ResolveEvaluate({}, model).evaluate().eta(), 0.9);
}

TEST(ResolveDrawingTest, EtaOfSamplesAndClassImagesIsResolvedToo) {
  auto model = Model();
  auto spec = Spec();
  spec.mutable_prior()->set_sampler("tcd");
  model.defaults.fine_tune.mutable_samples()->set_sampler("ddim");
  model.defaults.fine_tune.mutable_samples()->set_eta(0.4);
  const auto resolved = ResolveFineTune(spec, model).fine_tune();
  EXPECT_EQ(resolved.prior().eta(), 0.3);
  EXPECT_EQ(resolved.samples().eta(), 0.4);
  EXPECT_TRUE(MessageDifferencer::Equals(ResolveFineTune(resolved, model).fine_tune(), resolved));
}

TEST(ResolveDrawingTest, WhatIsNotSaidOfAPicturesSizeAndCropIsThatOfAWholePicture) {
  v1::GenerateSpec spec;
  EXPECT_FALSE(ResolveGenerate(spec, Model()).generate().has_micro_conditioning());
  spec.set_width(128);
  spec.mutable_micro_conditioning()->set_crop_top(9);
  spec.mutable_micro_conditioning()->set_original_height(300);
  const auto told = ResolveGenerate(spec, Model()).generate().micro_conditioning();
  EXPECT_EQ(told.original_width(), 128);
  EXPECT_EQ(told.original_height(), 300);
  EXPECT_TRUE(told.has_crop_left());
  EXPECT_EQ(told.crop_top(), 9);
  EXPECT_EQ(told.target_width(), 128);
  EXPECT_EQ(told.target_height(), 64);
}

TEST(ResolveDrawingTest, NothingIsDrawnOfAClassThatHasPhotos) {
  auto model = Model();
  model.defaults.fine_tune.mutable_prior()->set_sampler("ddim");
  model.defaults.fine_tune.mutable_prior()->set_eta(0.4);
  auto spec = Spec();
  const auto drawn = ResolveFineTune(spec, model).fine_tune().prior();
  EXPECT_TRUE(drawn.has_class_images());
  EXPECT_EQ(drawn.sampler(), "ddim");
  EXPECT_EQ(drawn.eta(), 0.4);
  spec.mutable_prior()->add_class_photos()->set_blob("a");
  const auto resolved = ResolveFineTune(spec, model).fine_tune();
  EXPECT_EQ(resolved.prior().class_photos_size(), 1);
  EXPECT_FALSE(resolved.prior().has_class_images());
  EXPECT_FALSE(resolved.prior().has_sampler());
  EXPECT_FALSE(resolved.prior().has_sampling_steps());
  EXPECT_FALSE(resolved.prior().has_guidance());
  EXPECT_FALSE(resolved.prior().has_eta());
  EXPECT_EQ(resolved.prior().weight(), 1);
  EXPECT_TRUE(MessageDifferencer::Equals(ResolveFineTune(resolved, model).fine_tune(), resolved));
}

TEST(ResolveDrawingTest, APictureIsStartedFromWithStrengthForOneStep) {
  v1::GenerateSpec spec;
  spec.mutable_image_to_image();
  const auto strength = [&] {
    return ResolveGenerate(spec, Model()).generate().image_to_image().strength();
  };
  EXPECT_EQ(strength(), 0.8);
  spec.set_steps(1);
  EXPECT_EQ(strength(), 1);
}

TEST(ResolveDrawingTest, HowPromptsAreReadIsTheJobsToSay) {
  auto model = Model();
  model.defaults.generate.set_prompt_weights(true);
  model.defaults.generate.set_long_prompts(true);
  EXPECT_FALSE(ResolveGenerate({}, model).generate().prompt_weights());
  EXPECT_FALSE(ResolveGenerate({}, model).generate().long_prompts());
  v1::GenerateSpec spec;
  spec.set_prompt_weights(true);
  spec.set_long_prompts(true);
  EXPECT_TRUE(ResolveGenerate(spec, model).generate().prompt_weights());
  EXPECT_TRUE(ResolveGenerate(spec, model).generate().long_prompts());
}

TEST(ResolveDrawingTest, WhatIsSeenMeanwhileAndThePrecisionAreTheJobsToSay) {
  auto model = Model();
  model.defaults.generate.set_preview_every_steps(5);
  model.defaults.generate.set_precision(v1::PRECISION_BF16);
  const auto resolved = ResolveGenerate({}, model).generate();
  EXPECT_TRUE(resolved.has_preview_every_steps());
  EXPECT_EQ(resolved.preview_every_steps(), 0);
  EXPECT_EQ(resolved.precision(), v1::PRECISION_UNSPECIFIED);  // the worker's
  v1::GenerateSpec spec;
  spec.set_preview_every_steps(10);
  spec.set_precision(v1::PRECISION_BF16);
  EXPECT_EQ(ResolveGenerate(spec, model).generate().preview_every_steps(), 10);
  EXPECT_EQ(ResolveGenerate(spec, model).generate().precision(), v1::PRECISION_BF16);
}

TEST(ResolveDrawingTest, PicturesAreOfTheModelsSizeUnlessSaid) {
  v1::GenerateSpec spec;
  spec.add_prompts("a cat");
  spec.set_width(128);
  const auto resolved = ResolveGenerate(spec, Model());
  EXPECT_EQ(resolved.generate().width(), 128);
  EXPECT_EQ(resolved.generate().height(), 64);
  EXPECT_EQ(resolved.generate().steps(), 25);
  EXPECT_EQ(resolved.generate().guidance(), 7.5);
}

}  // namespace
}  // namespace likeness
