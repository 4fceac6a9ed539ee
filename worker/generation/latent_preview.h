// Rough pictures of latents, without the autoencoder: one pixel a latent, its colour a linear map
// of the latent's channels, as in the previews of the Stable Diffusion web UIs.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/base/image.h"
#include "worker/families/family.h"

namespace likeness {

class LatentPreview {
 public:
  // Finds the map of the model's own autoencoder by least squares over a few pictures of random
  // colours, which it encodes: as much work as one picture of 256 x 256. Draws nothing of any other
  // generator.
  explicit LatentPreview(Family& model);

  // latents_BChw of unit variance, as they are sampled. Pictures of w x h pixels.
  std::vector<Image> Draw(const torch::Tensor& latents_BChw) const;

 private:
  torch::Tensor weights_3K_;  // K = C + 1: the last is added
};

}  // namespace likeness
