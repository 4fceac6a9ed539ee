// What updates weights, with what training a diffusion model needs of every optimizer: clipping by
// global norm, float32 master weights under 16-bit compute or bfloat16 weights without masters,
// several learning rates, state that can be written and read back. Which there are:
// optimizer_table.h.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

struct OptimizerOptions {
  std::string name = "adamw";  // a row of the table
  double beta1 = 0.9;          // not read by adafactor, nor is beta2
  double beta2 = 0.999;
  double epsilon = 1e-8;  // not read by adafactor
  double weight_decay = 1e-2;
  double max_grad_norm = 1;  // 0: no clipping
  uint32_t seed = 0;         // of stochastic rounding
};

struct ParameterGroup {
  // Leaves whose gradients are read; float32, bfloat16 or float16.
  std::vector<torch::Tensor> parameters;
  double learning_rate = 0;
  // The float32 weights behind 16-bit parameters, one each. Empty: the parameters themselves, then
  // float32 or bfloat16.
  std::vector<torch::Tensor> masters = {};
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update with the gradients that are there; a parameter without a gradient is left alone and
  // its bias correction does not move on, as in torch.optim. Learning rates are the groups' times
  // `schedule_factor`. The gradients are released. Returns their global norm before clipping. A
  // norm that is not finite throws Error(kFailedPrecondition) before anything is changed.
  double Step(double schedule_factor = 1);

  // The same with gradients that are too large by `loss_scale`: their norm and what is clipped are
  // those of the gradients without it. Where the norm is not finite, the gradients are released and
  // nothing else is changed; returns nothing then.
  std::optional<double> StepScaled(double schedule_factor, double loss_scale);

  // The same update of one parameter (by its index over all groups), which has a gradient, without
  // clipping or a look at the norm. Not where updates_together().
  void StepOne(size_t index, double schedule_factor);

  // Whether the update of a parameter needs the gradients of others.
  virtual bool updates_together() const { return false; }

  // Global L2 norm of the gradients, accumulated in double.
  double GradNorm() const;

  // The run's steps so far.
  int64_t StepsDone() const;
  const OptimizerOptions& options() const { return options_; }
  const std::vector<ParameterGroup>& groups() const { return groups_; }

  // What the optimizer multiplies learning rates by, where it finds them itself.
  virtual double RateScale() const { return 1; }

  // What a checkpoint holds beside the weights: the optimizer's own tensors, to be written to where
  // they are read back. `names`: of the parameters over all groups.
  virtual NamedTensors State(const std::vector<std::string>& names) const = 0;

 protected:
  Optimizer(std::vector<ParameterGroup> groups, OptimizerOptions options);

  // A parameter that has a gradient.
  struct Slot {
    size_t group;
    size_t index;  // over all groups
    torch::Tensor parameter;
    torch::Tensor master;  // float32
    double learning_rate;  // of this step

    torch::Tensor Gradient() const;  // float32, laid out as the master; perhaps a copy
  };

  // Updates the masters of the slots, which are in the order of their indices. Clipped gradients
  // are the slots' divided by `grad_scale`.
  virtual void Update(const std::vector<Slot>& slots, double grad_scale) = 0;

  // The number of this update of the slot's parameter, from 1.
  int64_t Count(const Slot& slot);

  // `tensors`, one a parameter, or undefined, as "KIND/NAME".
  static void AddState(const char* kind, const std::vector<torch::Tensor>& tensors,
                       const std::vector<std::string>& names, NamedTensors& state);

  std::vector<torch::Tensor> Masters() const;  // over all groups; float32, or bfloat16
  // How often each parameter was updated: int64 [parameters], on the CPU.
  const torch::Tensor& steps() const { return steps_; }

 private:
  // One for each parameter that has a gradient.
  std::vector<Slot> Slots(double schedule_factor) const;
  // `norm`: of the gradients divided by `loss_scale`.
  void ClipAndUpdate(double norm, double schedule_factor, double loss_scale);
  void UpdateAndRelease(std::vector<Slot> slots, double grad_scale);
  // Where masters are bfloat16: updates them in float32 and rounds.
  void UpdateAndRound(const std::vector<Slot>& slots, double grad_scale);

  std::vector<ParameterGroup> groups_;
  OptimizerOptions options_;
  bool rounds_ = false;  // masters are bfloat16
  torch::Tensor steps_;
};

// So many numbers of a 16-bit tensor are copied as float32 at once on a CPU, one part after
// another: what reads the copy then finds it in the cache.
inline constexpr int64_t kNumbersInCache = int64_t{1} << 18;

// The L2 norm of each: scalars, float32, on its device. At least one.
std::vector<torch::Tensor> NormsOf(const std::vector<torch::Tensor>& gradients);
// That of gradients with these norms, accumulated in double.
double GlobalNorm(const std::vector<torch::Tensor>& norms);
// Throws Error(kFailedPrecondition) for a norm of gradients that is not finite.
void CheckNorm(double norm, int64_t step);

}  // namespace likeness
