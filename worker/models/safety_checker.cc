#include "worker/models/safety_checker.h"

#include <limits>
#include <utility>

namespace likeness {
namespace {

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

// No numbers where a length is not finite: divided by it, all would be 0.
torch::Tensor UnitRows(const torch::Tensor& x_NP) {
  const auto x = x_NP.to(torch::kFloat32);
  const auto length_N1 = x.norm(2, /*dim=*/1, /*keepdim=*/true).clamp_min(1e-12);
  return x / length_N1.masked_fill(~length_N1.isfinite(), kNoNumber);
}

torch::Tensor ConceptCosines(const torch::Tensor& a_BP, const torch::Tensor& b_KP) {
  return UnitRows(a_BP).matmul(UnitRows(b_KP).t());
}

torch::Tensor InThousandths(const torch::Tensor& scores) { return torch::round(scores * 1000); }

}  // namespace

SafetyCheckerImpl::SafetyCheckerImpl(ClipVisionOptions options)
    : ClipVisionModelImpl(std::move(options)) {
  const int64_t width = this->options().projection_dim;
  const auto ones = [this](const char* name, torch::IntArrayRef shape) {
    return register_parameter(name, torch::ones(shape), /*requires_grad=*/false);
  };
  concept_embeds_KP_ = ones("concept_embeds", {kConcepts, width});
  special_care_embeds_SP_ = ones("special_care_embeds", {kSpecialConcepts, width});
  concept_embeds_weights_K_ = ones("concept_embeds_weights", {kConcepts});
  special_care_embeds_weights_S_ = ones("special_care_embeds_weights", {kSpecialConcepts});
}

torch::Tensor SafetyCheckerImpl::ConceptScores(const torch::Tensor& pixels_BCHW) {
  const auto seen_BP = forward(pixels_BCHW);
  const auto special_BS =
      ConceptCosines(seen_BP, special_care_embeds_SP_) - special_care_embeds_weights_S_;
  const auto stricter_B1 = (InThousandths(special_BS).gt(0).any(1, /*keepdim=*/true) * 0.01)
                               .masked_fill(~special_BS.isfinite().all(1, true), kNoNumber);
  const auto concepts_BK = ConceptCosines(seen_BP, concept_embeds_KP_) - concept_embeds_weights_K_;
  return InThousandths(concepts_BK + stricter_B1) / 1000;
}

}  // namespace likeness
