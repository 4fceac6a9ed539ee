#include "worker/training/adamw.h"

#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace likeness {
namespace {

// Counts of updates as the kernel reads them: one tensor for all parameters that are equally far.
class Counters {
 public:
  torch::Tensor Of(int64_t count, const torch::TensorOptions& options) {
    torch::Tensor& tensor = tensors_[count];
    if (!tensor.defined() || tensor.device() != options.device())
      tensor = torch::full({}, static_cast<double>(count), options);
    return tensor;
  }

 private:
  std::map<int64_t, torch::Tensor> tensors_;
};

// What one call of the kernel updates.
struct KernelLists {
  std::vector<torch::Tensor> masters, grads, first, second, steps;
};

// Whether it is copied through the cache (kNumbersInCache).
bool CopiedInParts(const torch::Tensor& grad, const torch::Tensor& master) {
  return grad.is_cpu() && grad.scalar_type() != master.scalar_type() && grad.is_contiguous() &&
         master.is_contiguous();
}

}  // namespace

AdamW::AdamW(std::vector<ParameterGroup> groups, OptimizerOptions options)
    : Optimizer(std::move(groups), std::move(options)) {
  for (const torch::Tensor& master : Masters()) {
    first_moments_.push_back(torch::zeros_like(master, torch::kFloat32));
    second_moments_.push_back(torch::zeros_like(master, torch::kFloat32));
  }
}

void AdamW::Update(const std::vector<Slot>& slots, double grad_scale) {
  Counters counters;
  KernelLists lists;  // of one group
  size_t group = 0;
  int64_t copied = 0;
  double learning_rate = 0;
  const auto update = [&] {
    if (lists.masters.empty()) return;
    // The kernel divides gradients by it.
    const auto scale = grad_scale != 1
                           ? std::optional(torch::full({}, grad_scale, lists.masters[0].options()))
                           : std::nullopt;
    at::_fused_adamw_(lists.masters, lists.grads, lists.first, lists.second,
                      /*max_exp_avg_sqs=*/{}, lists.steps, learning_rate, options().beta1,
                      options().beta2, options().weight_decay, options().epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, scale);
    lists = {};
    copied = 0;
  };
  const auto update_in_parts = [&](const Slot& slot) {
    const torch::Tensor& grad = slot.parameter.grad();
    const auto step = counters.Of(Count(slot), slot.master.options());
    for (int64_t begin = 0; begin < grad.numel(); begin += kNumbersInCache) {
      const auto part = [&](const torch::Tensor& x) {
        return x.view(-1).narrow(0, begin, std::min(kNumbersInCache, x.numel() - begin));
      };
      lists = {{part(slot.master)},
               {part(grad).to(torch::kFloat32)},
               {part(first_moments_[slot.index])},
               {part(second_moments_[slot.index])},
               {step}};
      update();
    }
  };
  for (const Slot& slot : slots) {
    const bool in_parts = CopiedInParts(slot.parameter.grad(), slot.master);
    if (in_parts || slot.group != group || copied >= kNumbersCopied) update();
    group = slot.group;
    learning_rate = slot.learning_rate;
    if (in_parts) {
      update_in_parts(slot);
      continue;
    }
    lists.masters.push_back(slot.master);
    lists.grads.push_back(slot.Gradient());
    if (!lists.grads.back().is_alias_of(slot.parameter.grad())) copied += slot.master.numel();
    lists.first.push_back(first_moments_[slot.index]);
    lists.second.push_back(second_moments_[slot.index]);
    lists.steps.push_back(counters.Of(Count(slot), slot.master.options()));
  }
  update();
}

NamedTensors AdamW::State(const std::vector<std::string>& names) const {
  NamedTensors state = {{"adamw.steps", steps()}};
  AddState("adamw.m", first_moments_, names, state);
  AddState("adamw.v", second_moments_, names, state);
  return state;
}

}  // namespace likeness
