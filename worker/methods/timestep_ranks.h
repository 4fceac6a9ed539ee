// T-LoRA, Soboleva et al. 2507.05964: how many of an update's ranks act at a timestep. Its masks
// alone, as get_mask_by_timestep of the authors' code with alpha 1; not the orthogonal first
// values.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace likeness {

// The first r(t) = floor((T - t) / T (rank - least)) + least ranks act at timestep t of T: `least`
// at the noisiest, all at the least noisy. Not thread safe.
class TimestepRanks {
 public:
  TimestepRanks(int64_t least, int64_t rank, int64_t timesteps);

  // h, whose dimension `of_ranks` has the ranks and whose first has the samples, with zeros for the
  // ranks that do not act at the sample's timestep (DenoisingTimesteps). Outside of a denoiser all
  // act. Differentiable.
  torch::Tensor Masked(const torch::Tensor& h, int64_t of_ranks);

 private:
  torch::Tensor Mask(const torch::Tensor& timesteps_B) const;

  int64_t least_, rank_, timesteps_;
  torch::Tensor timesteps_B_, mask_BR_;  // of the last pass: all layers share them
};

}  // namespace likeness
