#include "worker/training/adamw.h"

#include <ATen/ops/_fused_adamw.h>

#include <cmath>
#include <map>
#include <string>

#include "worker/base/error.h"

namespace likeness {
namespace {

// The gradient as the update reads it: float32, laid out as the master weight.
torch::Tensor GradientFor(const torch::Tensor& parameter, const torch::Tensor& master) {
  torch::Tensor grad = parameter.grad();
  if (grad.scalar_type() == master.scalar_type() && grad.strides() == master.strides()) return grad;
  return torch::empty_like(master).copy_(grad);
}

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

// The run's steps: some parameter has a gradient in each.
int64_t StepsDone(const torch::Tensor& steps) {
  return steps.numel() == 0 ? 0 : steps.max().item<int64_t>();
}

}  // namespace

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : groups_(std::move(groups)), options_(options) {
  for (ParameterGroup& group : groups_) {
    if (group.masters.empty()) {
      for (const torch::Tensor& parameter : group.parameters)
        group.masters.push_back(parameter.detach());
    }
    if (group.masters.size() != group.parameters.size())
      throw Error(ErrorKind::kInternal, "AdamW: as many master weights as parameters are needed");
    for (const torch::Tensor& master : group.masters) {
      if (master.scalar_type() != torch::kFloat32)
        throw Error(ErrorKind::kInternal, "AdamW: master weights are float32");
      first_moments_.push_back(torch::zeros_like(master));
      second_moments_.push_back(torch::zeros_like(master));
    }
  }
  steps_ = torch::zeros({static_cast<int64_t>(first_moments_.size())}, torch::kInt64);
}

double AdamW::GradNorm() const {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> norms;
  for (const ParameterGroup& group : groups_) {
    for (const torch::Tensor& parameter : group.parameters) {
      if (parameter.grad().defined())
        norms.push_back(
            at::linalg_vector_norm(parameter.grad(), 2, c10::nullopt, false, torch::kFloat32));
    }
  }
  if (norms.empty()) return 0;
  return torch::stack(norms).to(torch::kFloat64).norm().item<double>();
}

void AdamW::ReleaseGradients() {
  for (ParameterGroup& group : groups_) {
    for (torch::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

double AdamW::Step(double schedule_factor) {
  torch::NoGradGuard no_grad;
  const double norm = GradNorm();
  if (!std::isfinite(norm)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the gradients' norm is " + std::to_string(norm) + " at step " +
                    std::to_string(StepsDone(steps_)) +
                    ": training diverged; try a lower learning rate");
  }
  // The kernel divides gradients by a scale; clipping multiplies by max / (norm + 1e-6), as
  // clip_grad_norm_ does.
  const bool clip = options_.max_grad_norm > 0 && norm + 1e-6 > options_.max_grad_norm;
  const double scale = clip ? (norm + 1e-6) / options_.max_grad_norm : 1;

  Counters counters;
  size_t index = 0;  // over all groups
  for (ParameterGroup& group : groups_) {
    std::vector<torch::Tensor> masters, grads, first, second, steps;
    std::vector<size_t> updated;
    std::vector<int64_t> counts;
    for (size_t i = 0; i < group.parameters.size(); ++i, ++index) {
      if (!group.parameters[i].grad().defined()) continue;
      updated.push_back(i);
      counts.push_back(++steps_.mutable_data_ptr<int64_t>()[index]);
      masters.push_back(group.masters[i]);
      grads.push_back(GradientFor(group.parameters[i], group.masters[i]));
      first.push_back(first_moments_[index]);
      second.push_back(second_moments_[index]);
    }
    if (updated.empty()) continue;
    const auto options = masters[0].options();
    for (const int64_t count : counts) steps.push_back(counters.Of(count, options));
    const std::optional<torch::Tensor> grad_scale =
        clip ? std::optional(torch::full({}, scale, options)) : std::nullopt;
    at::_fused_adamw_(masters, grads, first, second, /*max_exp_avg_sqs=*/{}, steps,
                      group.learning_rate * schedule_factor, options_.beta1, options_.beta2,
                      options_.weight_decay, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false, grad_scale);
    for (size_t i : updated) {
      if (!group.parameters[i].is_alias_of(group.masters[i]))
        group.parameters[i].copy_(group.masters[i]);
    }
  }
  ReleaseGradients();
  return norm;
}

void AdamW::Restore(const torch::Tensor& steps, const std::vector<torch::Tensor>& first_moments,
                    const std::vector<torch::Tensor>& second_moments) {
  torch::NoGradGuard no_grad;
  if ((steps.dim() != 0 && steps.sizes() != steps_.sizes()) ||
      first_moments.size() != first_moments_.size() ||
      second_moments.size() != second_moments_.size())
    throw Error(ErrorKind::kFailedPrecondition, "AdamW: the state is of other parameters");
  steps_.copy_(steps);
  for (size_t i = 0; i < first_moments.size(); ++i) {
    first_moments_[i].copy_(first_moments[i]);
    second_moments_[i].copy_(second_moments[i]);
  }
}

}  // namespace likeness
