#include "mini/autoencoder.h"

#include <vector>

namespace likeness::mini {

torch::Tensor ThroughAutoencoder(Family& drawer, const torch::Tensor& pictures_BCHW) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parts;
  for (const auto& part_BCHW : pictures_BCHW.split(32)) {
    const auto latents_BChw = drawer.ToLatents(part_BCHW).mean_BChw * drawer.latent_scale();
    parts.push_back(drawer.ToPixels(latents_BChw).clamp(-1, 1));
  }
  return torch::cat(parts);
}

}  // namespace likeness::mini
