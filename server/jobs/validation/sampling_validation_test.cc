#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Everything that was found, "FIELD: DESCRIPTION" in lines.
std::string AllOf(const FieldChecker& checker) {
  std::string all;
  for (const FieldViolation& violation : FieldViolations(checker.status())) {
    absl::StrAppend(&all, violation.field, ": ", violation.description, "\n");
  }
  return all;
}

// What is wrong with drawing in this way.
std::string WrongWith(const v1::GenerateSpec& drawing) {
  v1::GenerateSpec spec = drawing;
  spec.add_prompts("a dog");
  FieldChecker checker;
  CheckGenerate(spec, "job.generate", {}, checker);
  return AllOf(checker);
}

v1::GenerateSpec With(const std::string& sampler, double eta) {
  v1::GenerateSpec spec;
  if (!sampler.empty()) spec.set_sampler(sampler);
  spec.set_eta(eta);
  return spec;
}

TEST(SamplingValidationTest, EtaIsForSamplersThatHaveIt) {
  EXPECT_THAT(WrongWith(With("ddim", 0.5)), IsEmpty());
  EXPECT_THAT(WrongWith(With("TCDScheduler", 1)), IsEmpty());
  EXPECT_THAT(WrongWith(With("", 1)), IsEmpty()) << "the base model's own is looked at later";
  EXPECT_THAT(WrongWith(With("Euler a", 0.5)),
              HasSubstr("job.generate.eta: is 0.5; the sampler euler_ancestral has no eta, these "
                        "have: ddim, tcd"));
  EXPECT_THAT(WrongWith(With("ddim", 1.5)),
              HasSubstr("job.generate.eta: is 1.5; 0 to 1 is allowed"));
  EXPECT_THAT(WrongWith(With("ddim", std::nan(""))), HasSubstr("job.generate.eta: is nan"));
}

TEST(SamplingValidationTest, AValueNeverLooksLikeTheLimitThatItExceeds) {
  v1::GenerateSpec spec;
  spec.set_guidance_rescale(1.0000001);
  EXPECT_THAT(WrongWith(spec), HasSubstr("guidance_rescale: is 1.0000001; 0 to 1 is allowed"));
  spec.clear_guidance_rescale();
  spec.mutable_image_to_image()->set_strength(1.0000001);
  EXPECT_THAT(WrongWith(spec),
              HasSubstr("strength: is 1.0000001; above 0 and at most 1 is allowed"));
  spec.set_steps(3);
  spec.mutable_image_to_image()->set_strength(0.3333333);
  EXPECT_THAT(WrongWith(spec), HasSubstr("strength: is 0.3333333, which leaves none of 3 steps; "
                                         "0.333334 or more is allowed"));
}

TEST(SamplingValidationTest, SizesAreAboveZeroAndCropsMayBeZero) {
  v1::GenerateSpec spec;
  v1::MicroConditioning& told = *spec.mutable_micro_conditioning();
  told.set_original_width(16384);
  told.set_crop_left(0);
  EXPECT_THAT(WrongWith(spec), IsEmpty());
  told.set_original_width(0);
  told.set_crop_top(-1);
  told.set_target_height(20000);
  const std::string path = "job.generate.micro_conditioning.";
  EXPECT_THAT(WrongWith(spec), HasSubstr(path + "original_width: is 0; 1 to 16384 is allowed"));
  EXPECT_THAT(WrongWith(spec), HasSubstr(path + "crop_top: is -1; 0 to 16384 is allowed"));
  EXPECT_THAT(WrongWith(spec), HasSubstr(path + "target_height: is 20000"));
}

TEST(SamplingValidationTest, EtaIsLookedAtWhereverPicturesAreDrawn) {
  v1::FineTuneSpec spec;
  spec.mutable_samples()->set_sampler("euler");
  spec.mutable_samples()->set_eta(1);
  spec.mutable_prior()->set_sampler("lcm");
  spec.mutable_prior()->set_eta(1);
  v1::EvaluateSpec judged;
  judged.set_sampler("heun");
  judged.set_eta(1);
  FieldChecker checker;
  CheckFineTune(spec, "job.fine_tune", {}, checker);
  CheckEvaluate(judged, "job.evaluate", {}, checker);
  const std::string wrong = AllOf(checker);
  EXPECT_THAT(wrong, HasSubstr("job.fine_tune.samples.eta: is 1; the sampler euler has no eta"));
  EXPECT_THAT(wrong, HasSubstr("job.fine_tune.prior.eta: is 1; the sampler lcm has no eta"));
  EXPECT_THAT(wrong, HasSubstr("job.evaluate.eta: is 1; the sampler heun has no eta"));
}

}  // namespace
}  // namespace likeness::server
