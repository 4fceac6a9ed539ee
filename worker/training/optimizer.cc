#include "worker/training/optimizer.h"

#include <cmath>
#include <utility>

#include "worker/base/error.h"

namespace likeness {
namespace {

// The gradient as the update reads it: float32, laid out as the master weight.
torch::Tensor GradientFor(const torch::Tensor& parameter, const torch::Tensor& master) {
  torch::Tensor grad = parameter.grad();
  if (grad.scalar_type() == master.scalar_type() && grad.strides() == master.strides()) return grad;
  return torch::empty_like(master).copy_(grad);
}

// The run's steps: some parameter has a gradient in each.
int64_t StepsDone(const torch::Tensor& steps) {
  return steps.numel() == 0 ? 0 : steps.max().item<int64_t>();
}

}  // namespace

Optimizer::Optimizer(std::vector<ParameterGroup> groups, OptimizerOptions options)
    : groups_(std::move(groups)), options_(std::move(options)) {
  for (ParameterGroup& group : groups_) {
    if (group.masters.empty()) {
      for (const torch::Tensor& parameter : group.parameters)
        group.masters.push_back(parameter.detach());
    }
    if (group.masters.size() != group.parameters.size())
      throw Error(ErrorKind::kInternal,
                  "optimizer: as many master weights as parameters are needed");
    for (const torch::Tensor& master : group.masters) {
      if (master.scalar_type() != torch::kFloat32)
        throw Error(ErrorKind::kInternal, "optimizer: master weights are float32");
    }
  }
  steps_ = torch::zeros({static_cast<int64_t>(Masters().size())}, torch::kInt64);
}

double Optimizer::GradNorm() const {
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

void Optimizer::ReleaseGradients() {
  for (ParameterGroup& group : groups_) {
    for (torch::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

double Optimizer::Step(double schedule_factor) {
  torch::NoGradGuard no_grad;
  const double norm = GradNorm();
  if (!std::isfinite(norm)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the gradients' norm is " + std::to_string(norm) + " at step " +
                    std::to_string(StepsDone(steps_)) +
                    ": training diverged; try a lower learning rate");
  }
  // Clipping multiplies by max / (norm + 1e-6), as clip_grad_norm_ does.
  const bool clip = options_.max_grad_norm > 0 && norm + 1e-6 > options_.max_grad_norm;
  Update(schedule_factor, clip ? (norm + 1e-6) / options_.max_grad_norm : 1);
  for (ParameterGroup& group : groups_) {
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      torch::Tensor& parameter = group.parameters[i];
      if (parameter.grad().defined() && !parameter.is_alias_of(group.masters[i]))
        parameter.copy_(group.masters[i]);
    }
  }
  ReleaseGradients();
  return norm;
}

void Optimizer::ForEach(double schedule_factor,
                        const std::function<void(const Slot&)>& update) const {
  size_t index = 0;
  for (size_t number = 0; number < groups_.size(); ++number) {
    const ParameterGroup& group = groups_[number];
    for (size_t i = 0; i < group.parameters.size(); ++i, ++index) {
      if (!group.parameters[i].grad().defined()) continue;
      update({number, index, group.masters[i], GradientFor(group.parameters[i], group.masters[i]),
              group.learning_rate * schedule_factor});
    }
  }
}

int64_t Optimizer::Count(const Slot& slot) {
  return ++steps_.mutable_data_ptr<int64_t>()[slot.index];
}

void Optimizer::AddState(const char* kind, const std::vector<torch::Tensor>& tensors,
                         const std::vector<std::string>& names, NamedTensors& state) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].defined()) state.emplace_back(kind + ("/" + names.at(i)), tensors[i]);
  }
}

std::vector<torch::Tensor> Optimizer::Masters() const {
  std::vector<torch::Tensor> masters;
  for (const ParameterGroup& group : groups_) {
    masters.insert(masters.end(), group.masters.begin(), group.masters.end());
  }
  return masters;
}

}  // namespace likeness
