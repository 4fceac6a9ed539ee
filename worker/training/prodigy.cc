#include "worker/training/prodigy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/number_text.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr double kFirstEstimate = 1e-6;

}  // namespace

Prodigy::Prodigy(std::vector<ParameterGroup> groups, OptimizerOptions options)
    : Optimizer(std::move(groups), std::move(options)),
      estimate_(torch::tensor({kFirstEstimate, 0.0, 0.0}, torch::kFloat64)) {
  for (const ParameterGroup& group : this->groups()) {
    if (group.learning_rate == this->groups().front().learning_rate) continue;
    throw Error(ErrorKind::kInvalidArgument,
                "optimizer prodigy finds one learning rate for all that is trained; the learning "
                "rates given are " +
                    NumberText(this->groups().front().learning_rate) + " and " +
                    NumberText(group.learning_rate) + "; they have to be equal");
  }
  for (const torch::Tensor& master : Masters()) {
    first_moments_.push_back(torch::zeros_like(master, torch::kFloat32));
    second_moments_.push_back(torch::zeros_like(master, torch::kFloat32));
    sums_.push_back(torch::zeros_like(master, torch::kFloat32));
    starts_.push_back(master.clone());
  }
}

double Prodigy::RateScale() const { return estimate_[0].item<double>(); }

void Prodigy::Update(const std::vector<Slot>& slots, double grad_scale) {
  double* state = estimate_.mutable_data_ptr<double>();
  double& estimate = state[0];
  double& numerator = state[1];
  double& updates = state[2];
  const double beta1 = options().beta1, beta2 = options().beta2, beta3 = std::sqrt(beta2);
  const double d = estimate;  // of this step
  double rate = 0;            // d times the learning rate, its bias corrected
  double grown = 0, denominator = 0;
  for (const Slot& slot : slots) {
    if (slot.learning_rate == 0) continue;  // the first step of a warm-up
    rate = d * slot.learning_rate * std::sqrt(1 - std::pow(beta2, updates + 1)) /
           (1 - std::pow(beta1, updates + 1));
    const auto whole = slot.Gradient();
    const auto gradient = grad_scale == 1 ? whole : whole / grad_scale;
    const auto way = (starts_[slot.index] - slot.master).mul_(gradient);
    grown += d / kFirstEstimate * rate * way.sum().item<double>();
    first_moments_[slot.index].mul_(beta1).add_(gradient, d * (1 - beta1));
    second_moments_[slot.index].mul_(beta2).addcmul_(gradient, gradient, d * d * (1 - beta2));
    auto& sum = sums_[slot.index];
    sum.mul_(beta3).add_(gradient, d / kFirstEstimate * d);
    denominator += sum.abs().sum().item<double>();
  }
  if (denominator == 0) return;

  numerator = beta3 * numerator + grown;
  estimate = std::max(d, numerator / denominator);
  for (const Slot& slot : slots) {
    Count(slot);
    auto master = slot.master;
    if (options().weight_decay != 0) master.mul_(1 - options().weight_decay * rate);
    const auto root = second_moments_[slot.index].sqrt().add_(estimate * options().epsilon);
    master.addcdiv_(first_moments_[slot.index], root, -rate);
  }
  ++updates;
}

NamedTensors Prodigy::State(const std::vector<std::string>& names) const {
  NamedTensors state = {{"prodigy.estimate", estimate_}, {"prodigy.steps", steps()}};
  AddState("prodigy.m", first_moments_, names, state);
  AddState("prodigy.v", second_moments_, names, state);
  AddState("prodigy.s", sums_, names, state);
  AddState("prodigy.start", starts_, names, state);
  return state;
}

}  // namespace likeness
