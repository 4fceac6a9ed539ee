#include "common/memory_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace likeness {
namespace {

using ::testing::HasSubstr;

// "field: description" of the first, or nothing.
std::string WrongWith(const v1::FineTuneSpec& spec) {
  const auto violations = MemorySettingViolations(spec);
  if (violations.empty()) return "";
  return violations.front().field + ": " + violations.front().description;
}

TEST(MemorySettingsTest, TheFusedBackwardPassLeavesNoGradientsToClipOrAccumulate) {
  const auto wrong = [](const std::function<void(v1::Training&)>& set) {
    v1::FineTuneSpec spec;
    spec.mutable_training()->set_fused_backward_pass(true);
    set(*spec.mutable_training());
    return WrongWith(spec);
  };
  EXPECT_EQ(wrong([](auto&) {}), "");
  EXPECT_EQ(wrong([](auto& t) {
              t.set_max_grad_norm(0);
              t.set_gradient_accumulation_steps(1);
              t.set_optimizer(v1::OPTIMIZER_ADAFACTOR);
            }),
            "");
  EXPECT_THAT(wrong([](auto& t) { t.set_max_grad_norm(0.5); }),
              HasSubstr("training.max_grad_norm: is 0.5"));
  EXPECT_THAT(wrong([](auto& t) { t.set_gradient_accumulation_steps(2); }),
              HasSubstr("gradient_accumulation_steps: is 2"));
  EXPECT_THAT(wrong([](auto& t) { t.set_optimizer(v1::OPTIMIZER_PRODIGY); }),
              HasSubstr("optimizer: is OPTIMIZER_PRODIGY"));
  EXPECT_THAT(wrong([](auto& t) { t.set_precision(v1::PRECISION_FP16); }),
              HasSubstr("precision: is PRECISION_FP16; with fused_backward_pass PRECISION_FP32"));
  EXPECT_EQ(wrong([](auto& t) { t.set_precision(v1::PRECISION_BF16_WEIGHTS); }), "");
}

TEST(MemorySettingsTest, WeightsWithoutMastersAreForDreamBooth) {
  v1::FineTuneSpec spec;
  spec.mutable_training()->set_precision(v1::PRECISION_BF16_WEIGHTS);
  EXPECT_EQ(WrongWith(spec), "");
  spec.mutable_lora();
  EXPECT_THAT(WrongWith(spec), HasSubstr("training.precision: is PRECISION_BF16_WEIGHTS; for lora "
                                         "PRECISION_FP32"));
  spec.mutable_training()->set_precision(v1::PRECISION_FP16);
  EXPECT_EQ(WrongWith(spec), "");
}

TEST(MemorySettingsTest, TheFusedBackwardPassNeedsWholeGradients) {
  v1::FineTuneSpec spec;
  spec.mutable_training()->set_fused_backward_pass(true);
  spec.mutable_training()->set_gradient_checkpointing(true);
  EXPECT_EQ(WrongWith(spec), "");
  spec.mutable_hypernetwork();
  EXPECT_THAT(WrongWith(spec),
              HasSubstr("training.fused_backward_pass: is not allowed for a hypernetwork"));
  spec.mutable_lora();
  spec.mutable_training()->set_aspect_ratio_buckets(true);
  EXPECT_THAT(WrongWith(spec), HasSubstr("unless prior.weight is 0"));
  spec.mutable_prior()->set_kind(v1::PRIOR_KIND_BASE_PREDICTION);
  EXPECT_EQ(WrongWith(spec), "");
  spec.clear_prior();
  spec.mutable_prior()->set_weight(0);
  EXPECT_EQ(WrongWith(spec), "");
}

TEST(MemorySettingsTest, EverythingThatIsWrongIsSaid) {
  v1::FineTuneSpec spec;
  spec.mutable_training()->set_fused_backward_pass(true);
  spec.mutable_training()->set_max_grad_norm(1);
  spec.mutable_training()->set_precision(v1::PRECISION_BF16_WEIGHTS);
  spec.mutable_svdiff();
  EXPECT_EQ(MemorySettingViolations(spec).size(), 2);
}

}  // namespace
}  // namespace likeness
