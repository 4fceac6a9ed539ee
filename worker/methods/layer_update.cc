#include "worker/methods/layer_update.h"

#include <utility>

#include "worker/nn/project.h"

namespace likeness {

void LayerUpdate::DropInputs(double probability, const at::Generator& generator) {
  dropout_ = probability;
  generator_ = generator;
}

torch::Tensor LayerUpdate::After(const torch::Tensor& x, torch::Tensor y) {
  const bool drops = dropout_ > 0 && torch::GradMode::is_enabled();
  const torch::Tensor update = Update(drops ? DropValues(x, dropout_, generator_) : x);
  if (torch::GradMode::is_enabled()) return y + update * scale();
  return y.add_(update, scale());
}

LowRankUpdate::LowRankUpdate(const HookableLayer& layer, torch::Tensor down, torch::Tensor up,
                             double scale, std::shared_ptr<TimestepRanks> ranks)
    : LayerUpdate(layer),
      down_(std::move(down)),
      up_(std::move(up)),
      scale_(scale),
      ranks_(std::move(ranks)) {}

torch::Tensor LowRankUpdate::Update(const torch::Tensor& x) {
  // Pictures may be drawn in another precision than the layer's own.
  const auto down = down_.to(x.scalar_type()), up = up_.to(x.scalar_type());
  auto h = conv_ ? torch::conv2d(x, down, {}, conv_->stride, conv_->padding) : Project(x, down, {});
  if (ranks_) h = ranks_->Masked(h, /*of_ranks=*/conv_ ? 1 : h.dim() - 1);
  return conv_ ? torch::conv2d(h, up) : Project(h, up, {});
}

torch::Tensor WeightUpdate::Update(const torch::Tensor& x) {
  const auto change = change_().to(x.scalar_type());
  return conv_ ? torch::conv2d(x, change, {}, conv_->stride, conv_->padding)
               : Project(x, change, {});
}

std::unique_ptr<AppliedAdapter> ApplyChanges(const std::vector<WeightChange>& changes) {
  std::vector<std::unique_ptr<LayerHook>> hooks;
  for (const WeightChange& change : changes) {
    hooks.push_back(std::make_unique<WeightUpdate>(change.layer, change.change));
  }
  return std::make_unique<AppliedHooks>(std::move(hooks));
}

void MergeChanges(const std::vector<WeightChange>& changes, MergedAdapters& merged) {
  for (const WeightChange& change : changes) {
    merged.Add(change.part + "/" + change.layer.name, change.change);
  }
}

torch::Tensor DropValues(const torch::Tensor& x, double probability, at::Generator generator) {
  const auto kept =
      torch::empty(x.sizes(), torch::kFloat32).bernoulli_(1 - probability, std::move(generator));
  return x * kept.to(x.options()) / (1 - probability);
}

}  // namespace likeness
