#include "worker/methods/timestep_ranks.h"

#include <vector>

#include "worker/nn/denoising_timesteps.h"

namespace likeness {

TimestepRanks::TimestepRanks(int64_t least, int64_t rank, int64_t timesteps)
    : least_(least), rank_(rank), timesteps_(timesteps) {}

torch::Tensor TimestepRanks::Masked(const torch::Tensor& h, int64_t of_ranks) {
  const auto timesteps_B = DenoisingTimesteps::Current();
  if (!timesteps_B.defined()) return h;
  if (!timesteps_B.is_same(timesteps_B_) || mask_BR_.scalar_type() != h.scalar_type()) {
    mask_BR_ = Mask(timesteps_B).to(h.options());
    timesteps_B_ = timesteps_B;
  }
  std::vector<int64_t> shape(h.dim(), 1);
  shape.front() = mask_BR_.size(0);
  shape[of_ranks] = rank_;
  return h * mask_BR_.view(shape);
}

torch::Tensor TimestepRanks::Mask(const torch::Tensor& timesteps_B) const {
  torch::NoGradGuard no_grad;
  // Multiplied before it is divided, so that the floor is exact where a rank begins to act.
  const auto left_B1 = timesteps_ - timesteps_B.reshape({-1, 1}).to(torch::kFloat64);
  const auto acting_B1 = (left_B1 * (rank_ - least_) / timesteps_).floor() + least_;
  return torch::arange(rank_, acting_B1.options()) < acting_B1;
}

}  // namespace likeness
