#include "worker/training/loss_weights.h"

namespace likeness {
namespace {

// [1,1,H,W], 0 to 1.
torch::Tensor Values(const Image& mask) {
  const auto bytes_HWC = torch::from_blob(const_cast<uint8_t*>(mask.rgb.data()),
                                          {mask.height, mask.width, 3}, torch::kUInt8);
  return bytes_HWC.select(2, 0).to(torch::kFloat32).div(255).unsqueeze(0).unsqueeze(0);
}

}  // namespace

torch::Tensor LossWeights(const std::vector<SubjectPhoto>& photos, int64_t cell,
                          double unmasked_weight) {
  if (!HasMasks(photos)) return {};
  std::vector<torch::Tensor> weights;
  for (const SubjectPhoto& photo : photos) {
    weights.push_back(
        photo.mask ? torch::avg_pool2d(Values(*photo.mask), cell).clamp_min(unmasked_weight)
                   : torch::ones({1, 1, photo.image.height / cell, photo.image.width / cell}));
  }
  return torch::cat(weights);
}

}  // namespace likeness
