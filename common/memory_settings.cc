#include "common/memory_settings.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/prior.h"

namespace likeness {
namespace {

void AddViolationsOfFusedBackwardPass(const v1::FineTuneSpec& spec,
                                      std::vector<FieldViolation>& violations) {
  const v1::Training& training = spec.training();
  const auto only = [&](bool fits, const char* name, const std::string& value,
                        const char* allowed) {
    if (fits) return;
    violations.push_back({absl::StrCat("training.", name),
                          absl::StrCat("is ", value, "; with fused_backward_pass ", allowed)});
  };
  only(training.max_grad_norm() == 0, "max_grad_norm", absl::StrCat(training.max_grad_norm()),
       "gradients cannot be clipped: 0 is allowed");
  only(training.gradient_accumulation_steps() <= 1, "gradient_accumulation_steps",
       absl::StrCat(training.gradient_accumulation_steps()), "1 is allowed");
  only(training.optimizer() != v1::OPTIMIZER_PRODIGY, "optimizer",
       v1::Optimizer_Name(training.optimizer()),
       "OPTIMIZER_ADAMW, OPTIMIZER_ADAMW_8BIT and OPTIMIZER_ADAFACTOR are allowed");
  // Whether the loss scale fits is known when all gradients are there.
  only(training.precision() != v1::PRECISION_FP16, "precision",
       v1::Precision_Name(training.precision()),
       "PRECISION_FP32, PRECISION_BF16 and PRECISION_BF16_WEIGHTS are allowed");
  // A weight that layers which are computed again share gets its gradient bit by bit.
  if (!training.gradient_checkpointing()) return;
  const char* field = "training.fused_backward_pass";
  if (spec.has_hypernetwork()) {
    violations.push_back({field, "is not allowed for a hypernetwork with gradient_checkpointing"});
  }
  const bool class_images =
      !spec.prior().has_weight() ? !IsBasePrediction(spec.prior()) : UsesClassImages(spec.prior());
  if (training.aspect_ratio_buckets() && class_images) {
    violations.push_back({field,
                          "is not allowed with gradient_checkpointing and aspect_ratio_buckets, "
                          "unless prior.weight is 0 or prior.kind is PRIOR_KIND_BASE_PREDICTION"});
  }
}

}  // namespace

std::vector<FieldViolation> MemorySettingViolations(const v1::FineTuneSpec& spec) {
  std::vector<FieldViolation> violations;
  if (spec.training().fused_backward_pass()) AddViolationsOfFusedBackwardPass(spec, violations);
  // Adapters are small: what weights without 32-bit masters save is the model's own.
  if (spec.training().precision() == v1::PRECISION_BF16_WEIGHTS && MakesAdapter(spec)) {
    violations.push_back(
        {"training.precision",
         absl::StrCat("is PRECISION_BF16_WEIGHTS; for ", MethodOf(spec),
                      " PRECISION_FP32, PRECISION_BF16 and PRECISION_FP16 are allowed")});
  }
  return violations;
}

}  // namespace likeness
