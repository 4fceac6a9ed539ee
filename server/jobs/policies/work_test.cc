#include "server/jobs/policies/work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace likeness::server {
namespace {

using testing::DoubleNear;

v1::ResolvedSpec FineTune(int steps, int batch, int images = 2, int sampling_steps = 20) {
  v1::ResolvedSpec settings;
  auto& spec = *settings.mutable_fine_tune();
  spec.add_subjects()->add_photos();
  spec.mutable_training()->set_steps(steps);
  spec.mutable_training()->set_batch_size(batch);
  spec.mutable_training()->set_gradient_accumulation_steps(1);
  spec.mutable_prior()->set_weight(1);
  spec.mutable_prior()->set_class_images(32);
  spec.mutable_prior()->set_sampling_steps(20);
  for (int i = 0; i < images; ++i) spec.mutable_samples()->add_prompts("a {subject}");
  spec.mutable_samples()->set_images_per_prompt(1);
  spec.mutable_samples()->set_steps(sampling_steps);
  return settings;
}

// A device on which everything takes what these say.
double SecondsOf(const Work& work) {
  switch (work.kind.phase) {
    case v1::JOB_PHASE_TRAINING:
      return 0.02 * work.amounts[0] + 0.01 * work.amounts[1];
    case v1::JOB_PHASE_SAMPLING:
    case v1::JOB_PHASE_CLASS_IMAGES:
      return 0.1 + 0.005 * work.amounts[1] + 0.02 * work.amounts[2];
    default:
      return 0.5;
  }
}

double SecondsOf(const v1::ResolvedSpec& settings, int64_t drawn) {
  double seconds = 0;
  for (const Work& work : WorkOf(settings, drawn)) seconds += SecondsOf(work);
  return seconds;
}

void Learn(DeviceRates& device, const v1::ResolvedSpec& settings, int64_t drawn) {
  for (const Work& work : WorkOf(settings, drawn)) {
    device.rates[work.kind].Measure(work.amounts, SecondsOf(work));
  }
  device.class_images[*ClassImagesOf(settings)] = settings.fine_tune().prior().class_images();
}

double Estimated(const v1::ResolvedSpec& settings, const DeviceRates& device) {
  const auto estimate = EstimateWork(settings, device);
  if (!estimate) return NAN;
  return static_cast<double>(estimate->worker_duration().seconds()) +
         1e-9 * estimate->worker_duration().nanos();
}

TEST(WorkTest, OneJobTellsWhatTheSameAgainAndTwiceTheStepsTake) {
  DeviceRates device;
  Learn(device, FineTune(40, 2), 32);
  const double same = SecondsOf(FineTune(40, 2), 0);  // its class pictures are there now
  EXPECT_THAT(Estimated(FineTune(40, 2), device), DoubleNear(same, 0.25 * same));
  const double twice = SecondsOf(FineTune(80, 2), 0);
  EXPECT_THAT(Estimated(FineTune(80, 2), device), DoubleNear(twice, 0.25 * twice));
}

TEST(WorkTest, SeveralJobsTellStepsPhotosAndPicturesApart) {
  DeviceRates device;
  int64_t drawn = 32;
  for (int i = 0; i < 8; ++i) {
    Learn(device, FineTune(20 + 10 * i, 1 + i % 3, 1 + i % 4, 10 + 5 * (i % 2)), drawn);
    drawn = 0;
  }
  for (const auto& job : {FineTune(200, 1, 4, 15), FineTune(10, 4, 8, 30)}) {
    const double truth = SecondsOf(job, 0);
    EXPECT_THAT(Estimated(job, device), DoubleNear(truth, 0.05 * truth));
  }
}

TEST(WorkTest, ClassPicturesThatTheWorkerDoesNotHaveYetAreDrawnFirst) {
  DeviceRates device;
  Learn(device, FineTune(40, 2), 32);
  Learn(device, FineTune(40, 2), 0);
  auto another = FineTune(40, 2);
  another.mutable_fine_tune()->mutable_prior()->set_class_prompt("a cat");
  EXPECT_GT(Estimated(another, device), Estimated(FineTune(40, 2), device) + 2);
}

TEST(WorkTest, SubjectsOfOneClassShareItsPicturesAndOthersHaveTheirOwn) {
  auto job = FineTune(40, 2);
  v1::FineTuneSpec& spec = *job.mutable_fine_tune();
  spec.mutable_prior()->set_class_prompt("a {class}");
  spec.mutable_subjects(0)->set_class_noun("dog");
  spec.add_subjects()->set_class_noun("dog");
  EXPECT_EQ(CountOfClassImages(spec), 32);
  const auto dogs = ClassImagesOf(job);
  spec.add_subjects()->set_class_noun("cat");
  EXPECT_EQ(CountOfClassImages(spec), 64);
  EXPECT_NE(ClassImagesOf(job), dogs);
  spec.mutable_prior()->set_class_prompt("a pet");
  EXPECT_EQ(CountOfClassImages(spec), 32);
  // As a worker that has filled in the one class records it.
  auto filled = FineTune(40, 2);
  filled.mutable_fine_tune()->mutable_prior()->set_class_prompt("a dog");
  EXPECT_EQ(ClassImagesOf(filled), dogs);
}

TEST(WorkTest, ClassPicturesAreTheSameHoweverTheirSamplerIsSpelled) {
  auto job = FineTune(40, 2);
  v1::Prior& prior = *job.mutable_fine_tune()->mutable_prior();
  prior.set_sampler("dpmpp_2m");
  const auto as_recorded = ClassImagesOf(job);
  prior.set_sampler("DPM++ 2M");
  EXPECT_EQ(ClassImagesOf(job), as_recorded);
  prior.set_sampler("DPM++ 2M Karras");
  EXPECT_NE(ClassImagesOf(job), as_recorded);
}

TEST(WorkTest, ClassPicturesOfAnotherEtaAreOthers) {
  DeviceRates device;
  Learn(device, FineTune(40, 2), 32);
  Learn(device, FineTune(40, 2), 0);
  auto job = FineTune(40, 2);
  v1::Prior& prior = *job.mutable_fine_tune()->mutable_prior();
  prior.set_sampler("ddim");
  const auto without = ClassImagesOf(job);
  prior.set_eta(0);
  EXPECT_EQ(ClassImagesOf(job), without);
  prior.set_eta(0.5);
  EXPECT_NE(ClassImagesOf(job), without);
  device.class_images[*without] = prior.class_images();
  const double drawn_anew = Estimated(job, device);
  prior.clear_eta();
  EXPECT_GT(drawn_anew, Estimated(job, device) + 2);
}

TEST(WorkTest, TheBasesPredictionNeedsNoClassPictures) {
  DeviceRates device;
  Learn(device, FineTune(40, 2), 32);
  auto of_base = FineTune(40, 2);
  of_base.mutable_fine_tune()->mutable_prior()->set_kind(v1::PRIOR_KIND_BASE_PREDICTION);
  EXPECT_FALSE(ClassImagesOf(of_base));
  for (const Work& work : WorkOf(of_base, 32)) {
    EXPECT_NE(work.kind.phase, v1::JOB_PHASE_CLASS_IMAGES);
  }
}

// Their steps take other times.
TEST(WorkTest, OptimizersAndCheckpointingAreMeasuredApart) {
  const auto variant = [](const auto& set) {
    auto job = FineTune(40, 2);
    set(*job.mutable_fine_tune()->mutable_training());
    for (const Work& work : WorkOf(job, 0)) {
      if (work.kind.phase == v1::JOB_PHASE_TRAINING) return work.kind.variant;
    }
    return std::string();
  };
  const auto plain = variant([](auto&) {});
  EXPECT_EQ(plain, variant([](auto& t) { t.set_optimizer(v1::OPTIMIZER_ADAMW); }));
  EXPECT_NE(plain, variant([](auto& t) { t.set_optimizer(v1::OPTIMIZER_PRODIGY); }));
  EXPECT_NE(plain, variant([](auto& t) { t.set_gradient_checkpointing(true); }));
}

TEST(WorkTest, ASizeThatWasNotMeasuredTakesAsManyTimesLongerAsItHasPixels) {
  v1::ResolvedSpec settings;
  auto& spec = *settings.mutable_generate();
  spec.add_prompts("a dog");
  spec.set_images_per_prompt(4);
  spec.set_steps(20);
  spec.set_width(64);
  spec.set_height(64);
  DeviceRates device;
  for (const Work& work : WorkOf(settings, 0)) {
    device.rates[work.kind].Measure(work.amounts,
                                    work.kind.phase == v1::JOB_PHASE_SAMPLING ? 10 : 0.01);
  }
  EXPECT_THAT(Estimated(settings, device), DoubleNear(10, 0.5));
  spec.set_width(128);
  EXPECT_THAT(Estimated(settings, device), DoubleNear(20, 1));
}

TEST(WorkTest, APictureBegunWithAnotherTakesTheStepsThatAreDone) {
  v1::ResolvedSpec settings;
  auto& spec = *settings.mutable_generate();
  spec.add_prompts("a dog");
  spec.set_images_per_prompt(1);
  spec.set_steps(50);
  const auto passes = [&] {
    for (const Work& work : WorkOf(settings, 0)) {
      if (work.kind.phase == v1::JOB_PHASE_SAMPLING) return work.amounts[1];
    }
    return -1.0;
  };
  EXPECT_EQ(passes(), 50);
  const std::pair<double, double> parts[] = {{0.8, 40}, {1, 50}, {0.35, 17}, {0.001, 1}};
  for (const auto& [strength, steps] : parts) {
    spec.mutable_image_to_image()->set_strength(strength);
    EXPECT_EQ(passes(), steps);
  }
}

TEST(WorkTest, NothingIsEstimatedFromNothing) { EXPECT_FALSE(EstimateWork(FineTune(40, 2), {})); }

TEST(WorkTest, RatesAreReadAsTheyWereWritten) {
  Rates rates;
  rates.Measure({1, 20, 4}, 3.5);
  rates.Measure({1, 40, 2}, 5);
  const auto read = Rates::FromText(rates.ToText());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->runs(), 2);
  EXPECT_EQ(read->Seconds({1, 30, 3}), rates.Seconds({1, 30, 3}));
  for (const char* text : {"", "1 2", "x 0 0 0 0 0 0 0 0 0 0 0 0 0"}) {
    EXPECT_FALSE(Rates::FromText(text)) << text;
  }
}

TEST(WorkTest, NoTimeIsNegative) {
  Rates rates;
  rates.Measure({1, 100, 1}, 1);
  rates.Measure({1, 1, 1}, 5);  // more work took less: no rate explains it
  EXPECT_GE(rates.Seconds({1, 100000, 1}), 0);
}

TEST(WorkTest, ClassPhotosAreReadAndNothingIsDrawn) {
  auto brought = FineTune(40, 2);
  v1::Prior& prior = *brought.mutable_fine_tune()->mutable_prior();
  prior.clear_class_images();
  for (int i = 0; i < 30; ++i) prior.add_class_photos();
  EXPECT_FALSE(ClassImagesOf(brought));
  for (const Work& work : WorkOf(brought, 0)) {
    EXPECT_NE(work.kind.phase, v1::JOB_PHASE_CLASS_IMAGES);
    if (work.kind.phase == v1::JOB_PHASE_PREPARING) EXPECT_EQ(work.amounts[1], 31);
  }
}

}  // namespace
}  // namespace likeness::server
