// What lies over a layer of a model for a while, and changes what the layer sees or gives.
#pragma once

#include <torch/torch.h>

#include <utility>
#include <vector>

namespace likeness {

class LayerHook {
 public:
  virtual ~LayerHook() = default;

  // What the layer sees, where it would see x.
  virtual torch::Tensor Before(const torch::Tensor& x) { return x; }

  // What the layer gives for what it sees, x, where it would give y. `y` may be written to when
  // gradients are off.
  virtual torch::Tensor After(const torch::Tensor& x, torch::Tensor y) {
    (void)x;
    return y;
  }
};

// Those of one layer, in the order in which they came. A layer without any computes what it did
// before there were hooks.
class LayerHooks {
 public:
  torch::Tensor Before(torch::Tensor x) const {
    for (LayerHook* hook : hooks_) x = hook->Before(x);
    return x;
  }
  torch::Tensor After(const torch::Tensor& x, torch::Tensor y) const {
    for (LayerHook* hook : hooks_) y = hook->After(x, std::move(y));
    return y;
  }
  bool empty() const { return hooks_.empty(); }

 private:
  friend class HookedLayer;
  std::vector<LayerHook*> hooks_;
};

// While one lives, the hook lies over the layer that has `hooks`. Both outlive this.
class HookedLayer {
 public:
  HookedLayer(LayerHooks& hooks, LayerHook& hook) : hooks_(hooks), hook_(hook) {
    hooks_.hooks_.push_back(&hook);
  }
  ~HookedLayer() { std::erase(hooks_.hooks_, &hook_); }
  HookedLayer(const HookedLayer&) = delete;
  HookedLayer& operator=(const HookedLayer&) = delete;

 private:
  LayerHooks& hooks_;
  LayerHook& hook_;
};

}  // namespace likeness
