#include "worker/training/step_in_backward.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>

#include "common/number_text.h"
#include "worker/base/error.h"

namespace likeness {

// LibTorch's, called when the gradient has been accumulated in a parameter.
class StepInBackward::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(StepInBackward& step, size_t index) : step_(step), index_(index) {}
  void operator()(const torch::autograd::Variable&) override { step_.Update(index_); }

 private:
  StepInBackward& step_;
  const size_t index_;
};

StepInBackward::StepInBackward(Optimizer& optimizer) : optimizer_(optimizer) {
  if (optimizer.options().max_grad_norm > 0 || optimizer.updates_together()) {
    throw Error(ErrorKind::kInvalidArgument,
                "fused_backward_pass: the optimizer " + optimizer.options().name +
                    " with max_grad_norm " + NumberText(optimizer.options().max_grad_norm) +
                    " needs all gradients at once; adamw, adamw_8bit and adafactor with "
                    "max_grad_norm 0 are allowed");
  }
  for (const ParameterGroup& group : optimizer.groups()) {
    parameters_.insert(parameters_.end(), group.parameters.begin(), group.parameters.end());
  }
  norms_.resize(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameters_[i],
                                                   std::make_unique<Hook>(*this, i));
  }
}

StepInBackward::~StepInBackward() {
  for (const torch::Tensor& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }
}

void StepInBackward::Begin(double schedule_factor) {
  schedule_factor_ = schedule_factor;
  step_ = optimizer_.StepsDone();
  norms_.assign(parameters_.size(), {});
}

void StepInBackward::Update(size_t index) {
  torch::NoGradGuard no_grad;
  if (norms_[index].defined()) {
    throw Error(ErrorKind::kInternal, "a parameter got two gradients in one backward pass");
  }
  norms_[index] = NormsOf({parameters_[index].grad()})[0];
  optimizer_.StepOne(index, schedule_factor_);
}

double StepInBackward::End() {
  std::vector<torch::Tensor> norms;
  for (const torch::Tensor& norm : norms_) {
    if (norm.defined()) norms.push_back(norm);
  }
  const double norm = GlobalNorm(norms);
  CheckNorm(norm, step_);
  return norm;
}

}  // namespace likeness
