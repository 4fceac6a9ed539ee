// Which pictures show what is not to be shown: CLIP's vision tower, and embeddings of concepts with
// the cosine from which each is seen. Keys and config.json as diffusers'
// StableDiffusionSafetyChecker (diffusers/pipelines/stable_diffusion/safety_checker.py). Shapes: B
// batch, C channels, H W pixels, P of the projection.
#pragma once

#include <torch/torch.h>

#include "worker/models/clip_vision.h"

namespace likeness {

class SafetyCheckerImpl : public ClipVisionModelImpl {
 public:
  static constexpr int64_t kConcepts = 17, kSpecialConcepts = 3;

  explicit SafetyCheckerImpl(ClipVisionOptions options);

  // How far each concept's cosine lies above its threshold, [B,17], in whole thousandths; a
  // hundredth more where one of the special concepts is seen. A picture with one above 0 is
  // objected to. Not finite where the network or a threshold is not: such a picture is not judged.
  // pixels_BCHW as ClipVisionModel's.
  torch::Tensor ConceptScores(const torch::Tensor& pixels_BCHW);

 private:
  torch::Tensor concept_embeds_KP_, special_care_embeds_SP_;
  torch::Tensor concept_embeds_weights_K_, special_care_embeds_weights_S_;
};
TORCH_MODULE(SafetyChecker);

}  // namespace likeness
