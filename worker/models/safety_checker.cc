#include "worker/models/safety_checker.h"

#include <utility>

namespace likeness {
namespace {

torch::Tensor ConceptCosines(const torch::Tensor& a_BP, const torch::Tensor& b_KP) {
  const auto unit = [](const torch::Tensor& x) {
    return torch::nn::functional::normalize(x.to(torch::kFloat32));
  };
  return unit(a_BP).matmul(unit(b_KP).t());
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
  const auto stricter_B1 = InThousandths(special_BS).gt(0).any(1, /*keepdim=*/true) * 0.01;
  const auto concepts_BK = ConceptCosines(seen_BP, concept_embeds_KP_) - concept_embeds_weights_K_;
  return InThousandths(concepts_BK + stricter_B1) / 1000;
}

}  // namespace likeness
