#include "worker/training/loss_scale.h"

#include <string>

#include "worker/base/error.h"

namespace likeness {

LossScale::LossScale() : state_(torch::tensor({kInitial, 0.0, 0.0}, torch::kFloat64)) {}

double LossScale::value() const { return state_.const_data_ptr<double>()[0]; }

int64_t LossScale::skipped_steps() const {
  return static_cast<int64_t>(state_.const_data_ptr<double>()[2]);
}

void LossScale::Update(bool finite, int64_t step) {
  double* state = state_.mutable_data_ptr<double>();
  double& scale = state[0];
  double& finite_steps = state[1];
  if (!finite) {
    ++state[2];
    scale *= kBackoff;
    finite_steps = 0;
    if (scale >= kLeast) return;
    throw Error(ErrorKind::kFailedPrecondition,
                "the gradients are not finite at step " + std::to_string(step) +
                    " with any loss scale: training diverged, or the model's values leave the "
                    "range of 16-bit floats; try a lower learning rate, or the precision bf16 or "
                    "fp32");
  }
  if (++finite_steps < static_cast<double>(kGrowthInterval)) return;
  scale *= kGrowth;
  finite_steps = 0;
}

}  // namespace likeness
