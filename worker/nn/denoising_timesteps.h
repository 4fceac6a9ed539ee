// The timesteps of a denoiser's forward pass, for what lies over its layers.
#pragma once

#include <torch/torch.h>

namespace likeness {

// While one lives, this thread computes a forward pass at these timesteps. The innermost counts.
class DenoisingTimesteps {
 public:
  // timesteps_B: integer or float, one for each sample, or one for all.
  explicit DenoisingTimesteps(torch::Tensor timesteps_B);
  ~DenoisingTimesteps();
  DenoisingTimesteps(const DenoisingTimesteps&) = delete;
  DenoisingTimesteps& operator=(const DenoisingTimesteps&) = delete;

  // Those of this thread. Undefined outside of a denoiser, as in a text encoder.
  static torch::Tensor Current();

 private:
  torch::Tensor timesteps_B_;
  const DenoisingTimesteps* outer_;
};

}  // namespace likeness
