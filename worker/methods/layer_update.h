// What methods add to what a layer gives.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/methods/method.h"
#include "worker/methods/timestep_ranks.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {

// y becomes y + Update(x) while it lives. The layer outlives this.
class LayerUpdate : public LayerHook {
 public:
  explicit LayerUpdate(const HookableLayer& layer)
      : conv_(layer.conv), hooked_(*layer.hooks, *this) {}

  // While gradients are on, each input is left out with this probability and the others are scaled
  // up, as peft does; the numbers come from `generator` (CPU), which may be exchanged.
  void DropInputs(double probability, const at::Generator& generator);

  torch::Tensor After(const torch::Tensor& x, torch::Tensor y) override;

 protected:
  // To be scaled by scale().
  virtual torch::Tensor Update(const torch::Tensor& x) = 0;
  virtual double scale() const { return 1; }

  std::optional<Conv2dOptions> conv_;

 private:
  double dropout_ = 0;
  at::Generator generator_;
  HookedLayer hooked_;
};

// scale up(down(x)): LoRA, Hu et al. 2106.09685, section 4.1. down: [rank, in], of a convolution
// [rank, in, k, k]; up: [out, rank], of a convolution [out, rank, 1, 1]. `ranks`, where
// there are some, are those that act at a timestep.
class LowRankUpdate : public LayerUpdate {
 public:
  LowRankUpdate(const HookableLayer& layer, torch::Tensor down, torch::Tensor up, double scale,
                std::shared_ptr<TimestepRanks> ranks = nullptr);

 protected:
  torch::Tensor Update(const torch::Tensor& x) override;
  double scale() const override { return scale_; }

 private:
  torch::Tensor down_, up_;
  double scale_;
  std::shared_ptr<TimestepRanks> ranks_;
};

// x by a change of the layer's weight, of the weight's shape in any dtype.
class WeightUpdate : public LayerUpdate {
 public:
  // `change` is called in each forward pass.
  WeightUpdate(const HookableLayer& layer, std::function<torch::Tensor()> change)
      : LayerUpdate(layer), change_(std::move(change)) {}
  // Always the same.
  WeightUpdate(const HookableLayer& layer, torch::Tensor change)
      : WeightUpdate(layer, [change = change.to(layer.weight.options())] { return change; }) {}

 protected:
  torch::Tensor Update(const torch::Tensor& x) override;

 private:
  std::function<torch::Tensor()> change_;
};

// An adapter that is hooks of layers.
class AppliedHooks : public AppliedAdapter {
 public:
  explicit AppliedHooks(std::vector<std::unique_ptr<LayerHook>> hooks) : hooks_(std::move(hooks)) {}

 private:
  std::vector<std::unique_ptr<LayerHook>> hooks_;
};

// What an adapter adds to a layer's weight: float32, of its shape, on its device.
struct WeightChange {
  std::string part;
  HookableLayer layer;
  torch::Tensor change;
};
std::unique_ptr<AppliedAdapter> ApplyChanges(const std::vector<WeightChange>& changes);
void MergeChanges(const std::vector<WeightChange>& changes, MergedAdapters& merged);

// float, [0, 1): each value is left out with this probability, the others are scaled up.
torch::Tensor DropValues(const torch::Tensor& x, double probability, at::Generator generator);

}  // namespace likeness
