#include "worker/methods/lora_layer.h"

#include <utility>

#include "worker/nn/project.h"

namespace likeness {

LoraLayer::LoraLayer(const HookableLayer& layer, torch::Tensor down, torch::Tensor up, double scale)
    : down_(std::move(down)),
      up_(std::move(up)),
      conv_(layer.conv),
      scale_(scale),
      hooked_(*layer.hooks, *this) {}

void LoraLayer::DropInputs(double probability, const at::Generator& generator) {
  dropout_ = probability;
  generator_ = generator;
}

torch::Tensor LoraLayer::After(const torch::Tensor& x, torch::Tensor y) {
  const torch::Tensor seen = dropout_ > 0 && torch::GradMode::is_enabled() ? Dropped(x) : x;
  const torch::Tensor update =
      conv_ ? torch::conv2d(torch::conv2d(seen, down_, {}, conv_->stride, conv_->padding), up_)
            : Project(Project(seen, down_, {}), up_, {});
  if (torch::GradMode::is_enabled()) return y + update * scale_;
  return y.add_(update, scale_);
}

torch::Tensor LoraLayer::Dropped(const torch::Tensor& x) {
  const auto kept = torch::empty(x.sizes(), torch::kFloat32).bernoulli_(1 - dropout_, generator_);
  return x * kept.to(x.options()) / (1 - dropout_);
}

}  // namespace likeness
