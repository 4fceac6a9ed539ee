#include "worker/nn/denoising_timesteps.h"

#include <utility>

namespace likeness {
namespace {

thread_local const DenoisingTimesteps* current = nullptr;

}  // namespace

DenoisingTimesteps::DenoisingTimesteps(torch::Tensor timesteps_B)
    : timesteps_B_(std::move(timesteps_B)), outer_(std::exchange(current, this)) {}

DenoisingTimesteps::~DenoisingTimesteps() { current = outer_; }

torch::Tensor DenoisingTimesteps::Current() {
  return current == nullptr ? torch::Tensor() : current->timesteps_B_;
}

}  // namespace likeness
