#include "worker/training/optimizer.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_norm.h>

#include <cmath>
#include <utility>

#include "common/number_text.h"
#include "worker/base/error.h"
#include "worker/training/stochastic_rounding.h"

namespace likeness {

namespace {

// LibTorch would copy all of them as float32 first.
torch::Tensor NormInParts(const torch::Tensor& gradient) {
  const auto numbers = gradient.as_strided({gradient.numel()}, {1});  // in the order of memory
  std::vector<torch::Tensor> norms;
  for (const torch::Tensor& part : numbers.split(kNumbersInCache)) {
    norms.push_back(part.to(torch::kFloat32).norm());
  }
  return norms.size() == 1 ? norms[0] : torch::stack(norms).norm();
}

}  // namespace

std::vector<torch::Tensor> NormsOf(const std::vector<torch::Tensor>& gradients) {
  std::vector<torch::Tensor> norms(gradients.size()), others;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const torch::Tensor& gradient = gradients[i];
    const bool in_parts = gradient.is_cpu() && gradient.scalar_type() != torch::kFloat32 &&
                          gradient.is_non_overlapping_and_dense();
    if (in_parts) {
      norms[i] = NormInParts(gradient);
    } else {
      others.push_back(gradient);
    }
  }
  if (others.empty()) return norms;
  auto of_others = at::_foreach_norm(others, 2, torch::kFloat32);
  auto next = of_others.begin();
  for (torch::Tensor& norm : norms) {
    if (!norm.defined()) norm = *next++;
  }
  return norms;
}

double GlobalNorm(const std::vector<torch::Tensor>& norms) {
  if (norms.empty()) return 0;
  return torch::stack(norms).to(torch::kFloat64).norm().item<double>();
}

void CheckNorm(double norm, int64_t step) {
  if (std::isfinite(norm)) return;
  throw Error(ErrorKind::kFailedPrecondition, "the gradients' norm is " + NumberText(norm) +
                                                  " at step " + std::to_string(step) +
                                                  ": training diverged; try a lower learning rate");
}

torch::Tensor Optimizer::Slot::Gradient() const {
  const torch::Tensor& grad = parameter.grad();
  if (grad.scalar_type() == master.scalar_type() && grad.strides() == master.strides()) return grad;
  return torch::empty_like(master).copy_(grad);
}

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
    rounds_ = rounds_ ||
              (!group.masters.empty() && group.masters.front().scalar_type() == torch::kBFloat16);
  }
  for (const torch::Tensor& master : Masters()) {
    if (master.scalar_type() != (rounds_ ? torch::kBFloat16 : torch::kFloat32))
      throw Error(ErrorKind::kInternal, "optimizer: weights are all float32, or all bfloat16");
  }
  steps_ = torch::zeros({static_cast<int64_t>(Masters().size())}, torch::kInt64);
}

double Optimizer::GradNorm() const {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  for (const ParameterGroup& group : groups_) {
    for (const torch::Tensor& parameter : group.parameters) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  return gradients.empty() ? 0 : GlobalNorm(NormsOf(gradients));
}

double Optimizer::Step(double schedule_factor) {
  torch::NoGradGuard no_grad;
  const double norm = GradNorm();
  CheckNorm(norm, StepsDone());
  ClipAndUpdate(norm, schedule_factor, /*loss_scale=*/1);
  return norm;
}

std::optional<double> Optimizer::StepScaled(double schedule_factor, double loss_scale) {
  torch::NoGradGuard no_grad;
  const double norm = GradNorm() / loss_scale;
  if (std::isfinite(norm)) {
    ClipAndUpdate(norm, schedule_factor, loss_scale);
    return norm;
  }
  for (Slot& slot : Slots(schedule_factor)) slot.parameter.mutable_grad().reset();
  return std::nullopt;
}

void Optimizer::ClipAndUpdate(double norm, double schedule_factor, double loss_scale) {
  // Clipping multiplies by max / (norm + 1e-6), as clip_grad_norm_ does.
  const bool clip = options_.max_grad_norm > 0 && norm + 1e-6 > options_.max_grad_norm;
  UpdateAndRelease(Slots(schedule_factor),
                   loss_scale * (clip ? (norm + 1e-6) / options_.max_grad_norm : 1));
}

void Optimizer::StepOne(size_t index, double schedule_factor) {
  torch::NoGradGuard no_grad;
  size_t group = 0, i = index;
  while (i >= groups_.at(group).parameters.size()) i -= groups_[group++].parameters.size();
  const ParameterGroup& of = groups_[group];
  UpdateAndRelease(
      {{group, index, of.parameters[i], of.masters[i], of.learning_rate * schedule_factor}}, 1);
}

std::vector<Optimizer::Slot> Optimizer::Slots(double schedule_factor) const {
  std::vector<Slot> slots;
  size_t index = 0;
  for (size_t number = 0; number < groups_.size(); ++number) {
    const ParameterGroup& group = groups_[number];
    for (size_t i = 0; i < group.parameters.size(); ++i, ++index) {
      if (!group.parameters[i].grad().defined()) continue;
      slots.push_back({number, index, group.parameters[i], group.masters[i],
                       group.learning_rate * schedule_factor});
    }
  }
  return slots;
}

void Optimizer::UpdateAndRound(const std::vector<Slot>& slots, double grad_scale) {
  // One by one where that may be: float32 copies of all weights would take more memory than masters
  // save.
  const size_t at_once = updates_together() ? slots.size() : 1;
  const int64_t* updates = steps_.const_data_ptr<int64_t>();
  for (size_t begin = 0; begin < slots.size(); begin += at_once) {
    std::vector<Slot> exact(slots.begin() + begin, slots.begin() + begin + at_once);
    for (Slot& slot : exact) slot.master = slot.master.to(torch::kFloat32);
    Update(exact, grad_scale);
    for (size_t i = 0; i < at_once; ++i) {
      const Slot& slot = slots[begin + i];
      RoundStochastically(exact[i].master,
                          RoundingSeed(options_.seed, slot.index, updates[slot.index]),
                          slot.master);
      slot.parameter.mutable_grad().reset();
    }
  }
}

void Optimizer::UpdateAndRelease(std::vector<Slot> slots, double grad_scale) {
  if (rounds_) return UpdateAndRound(slots, grad_scale);
  Update(slots, grad_scale);
  std::vector<torch::Tensor> parameters, masters;
  for (Slot& slot : slots) {
    slot.parameter.mutable_grad().reset();
    if (slot.parameter.is_alias_of(slot.master)) continue;
    parameters.push_back(slot.parameter);
    masters.push_back(slot.master);
  }
  if (!parameters.empty()) at::_foreach_copy_(parameters, masters);
}

int64_t Optimizer::StepsDone() const {
  // Some parameter has a gradient in each.
  return steps_.numel() == 0 ? 0 : steps_.max().item<int64_t>();
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
