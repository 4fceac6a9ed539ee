#include "worker/training/attached.h"

#include <cmath>

#include "worker/base/error.h"

namespace likeness {

void Attached::BeginWith(const std::vector<torch::Tensor>& values) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < masters().size(); ++i) masters()[i].detach().copy_(values.at(i));
  CopyMastersToParameters();
}

void Attached::CheckFinite(int64_t step) const {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < masters().size(); ++i) {
    // A sum is not finite if a summand is not, and needs no copy.
    if (std::isfinite(masters()[i].sum().item<float>())) continue;
    throw Error(ErrorKind::kFailedPrecondition,
                names()[i] + " is not finite after step " + std::to_string(step) +
                    ": training diverged; try a lower learning rate");
  }
}

}  // namespace likeness
