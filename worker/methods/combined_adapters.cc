#include "worker/methods/combined_adapters.h"

#include <torch/torch.h>
namespace likeness {
namespace {

// The part of `change` that is parallel to `before`, column by column; both [out, ...].
torch::Tensor ParallelPart(const torch::Tensor& change, const torch::Tensor& before) {
  const auto columns = before.flatten(1);
  const auto length = columns.square().sum(0, /*keepdim=*/true);
  const auto along = (change.flatten(1) * columns).sum(0, /*keepdim=*/true);
  return (columns * torch::where(length > 0, along / length, torch::zeros_like(along)))
      .view_as(change);
}

double SquaredLength(const torch::Tensor& value) {
  return value.to(torch::kFloat64).square().sum().item<double>();
}

}  // namespace

void CombinedAdapters::Add(const MergedAdapters& adapter) {
  torch::NoGradGuard no_grad;
  for (const auto& [layer, change] : adapter.changes) {
    if (!is_first_) squared_ += SquaredLength(change);
    const auto before = merged_.changes.find(layer);
    if (before == merged_.changes.end()) {
      merged_.Add(layer, change);
      continue;
    }
    const auto shared = ParallelPart(change, before->second);
    parallel_ += SquaredLength(shared);
    merged_.Add(layer, combination_ == Combination::kOrthogonal ? change - shared : change);
  }
  merged_.words.insert(merged_.words.end(), adapter.words.begin(), adapter.words.end());
  is_first_ = false;
}

}  // namespace likeness
