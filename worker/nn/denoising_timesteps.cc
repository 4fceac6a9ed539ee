#include "worker/nn/denoising_timesteps.h"

#include <utility>

namespace likeness {
namespace {

thread_local const DenoisingTimesteps* current_timesteps = nullptr;

}  // namespace

DenoisingTimesteps::DenoisingTimesteps(torch::Tensor timesteps_B)
    : timesteps_B_(std::move(timesteps_B)), outer_(std::exchange(current_timesteps, this)) {}

DenoisingTimesteps::~DenoisingTimesteps() { current_timesteps = outer_; }

torch::Tensor DenoisingTimesteps::Current() {
  return current_timesteps == nullptr ? torch::Tensor() : current_timesteps->timesteps_B_;
}

}  // namespace likeness
