#include "worker/methods/extracted_lora.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "worker/base/error.h"
#include "worker/checkpoints/component_files.h"
#include "worker/methods/lora_variants.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

double SquaredNorm(const torch::Tensor& value) {
  return value.to(torch::kFloat64).square().sum().item<double>();
}

std::pair<std::string, std::string> PartAndLayer(const std::string& name) {
  const size_t slash = name.find('/');
  return {name.substr(0, slash), name.substr(slash + 1)};
}

// How many of the singular values, which fall, keep the share of their squares.
int64_t RankThatKeeps(double energy, const torch::Tensor& values) {
  const auto kept = values.to(torch::kCPU, torch::kFloat64).square().cumsum(0);
  const double wanted = energy * kept[-1].item<double>();
  return (kept < wanted).sum().item<int64_t>() + 1;
}

struct ExtractedUpdate {
  LoraUpdate update;
  double left_out;    // of the square of the layer's difference
  bool below_energy;  // as ExtractedLora's
};

ExtractedUpdate ExtractUpdate(const std::string& name, const torch::Tensor& difference,
                              const ExtractionOptions& options) {
  const auto matrix = difference.flatten(1);
  const auto [left, values, right] = torch::linalg_svd(matrix, /*full_matrices=*/false);
  const int64_t needed = options.energy ? RankThatKeeps(*options.energy, values) : options.rank;
  const int64_t rank = std::min(options.rank, needed);
  const int64_t kept = std::min(rank, values.size(0));
  const auto roots = values.slice(0, 0, kept).sqrt();
  auto up = FilledUp(left.slice(1, 0, kept) * roots, 1, rank);
  auto down = FilledUp(roots.unsqueeze(1) * right.slice(0, 0, kept), 0, rank);
  if (difference.dim() == 4) {
    auto shape = difference.sizes().vec();
    shape[0] = rank;
    down = down.view(shape);
    up = up.view({up.size(0), rank, 1, 1});
  }
  const auto [part, layer] = PartAndLayer(name);
  LoraUpdate update{part, layer, {{kLoraDown, down.cpu()}, {kLoraUp, up.cpu()}}};
  return {std::move(update), SquaredNorm(values.slice(0, kept)), rank < needed};
}

}  // namespace

ModelDifference DifferenceFrom(const std::filesystem::path& base,
                               const std::vector<MergedPart>& parts) {
  torch::NoGradGuard no_grad;
  ModelDifference difference;
  for (const MergedPart& merged : parts) {
    if (merged.part.role == Role::kAutoencoder) continue;
    std::set<std::string> layers;
    for (const auto& layer : LayersOf(*merged.part.module))
      layers.insert(layer.name + kWeightSuffix);
    const auto read = ReadComponent(base / merged.part.name, merged.part.name,
                                    merged.part.file_stem, torch::kFloat32);
    const std::map<std::string, torch::Tensor> before(read.begin(), read.end());
    for (const auto& [name, value] : merged.weights) {
      const auto found = before.find(name);
      if (found == before.end() || found->second.sizes() != value.sizes()) {
        throw Error(ErrorKind::kFailedPrecondition, "the base model does not have " +
                                                        merged.part.name + "/" + name +
                                                        " in the shape that the model has it in");
      }
      const auto change =
          value.to(torch::kFloat32) - found->second.to(value.device(), torch::kFloat32);
      if (!change.any().item<bool>()) continue;
      if (layers.contains(name)) {
        const auto layer = name.substr(0, name.size() - std::string(kWeightSuffix).size());
        difference.layers[merged.part.name + "/" + layer] = change;
      } else {
        difference.rest_squared += SquaredNorm(change);
      }
    }
  }
  return difference;
}

ExtractedLora ExtractLora(const ModelDifference& difference, const ExtractionOptions& options,
                          const std::function<void(int64_t, int64_t)>& poll) {
  torch::NoGradGuard no_grad;
  if (difference.layers.empty()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the model differs from its base model in no layer that a LoRA may have");
  }
  int64_t most = 1;
  for (const auto& [name, change] : difference.layers) {
    most = std::max(most, std::min(change.size(0), change.numel() / change.size(0)));
  }
  const ExtractionOptions within{std::min(options.rank, most), options.energy};
  ExtractedLora extracted;
  LoraScale& scale = extracted.weights.scale;
  double left_out = 0, all = 0;  // of the layers
  const auto total = static_cast<int64_t>(difference.layers.size());
  for (const auto& [name, change] : difference.layers) {
    poll(static_cast<int64_t>(extracted.weights.updates.size()), total);
    auto [update, left, below_energy] = ExtractUpdate(name, change, within);
    scale.rank = std::max(scale.rank, update.Rank());
    extracted.weights.targets[update.part].push_back(PeftTarget(update.layer));
    extracted.weights.updates.push_back(std::move(update));
    left_out += left;
    extracted.layers_below_energy += below_energy ? 1 : 0;
    all += SquaredNorm(change);
  }
  scale.alpha = static_cast<double>(scale.rank);
  for (LoraUpdate& update : extracted.weights.updates) {
    if (update.Rank() == scale.rank) continue;
    const double each = std::sqrt(1 / extracted.weights.ScaleOf(update));
    for (auto& [factor, value] : update.factors) value = value * each;
  }
  extracted.energy = 1 - left_out / all;
  const double rest = difference.rest_squared;
  extracted.relative_error = std::sqrt((left_out + rest) / (all + rest));
  return extracted;
}

MergedAdapters AsChanges(const LoraWeights& weights, const ModelDifference& difference) {
  torch::NoGradGuard no_grad;
  MergedAdapters changes;
  for (const LoraUpdate& update : weights.updates) {
    const std::string name = update.part + "/" + update.layer;
    const auto& like = difference.layers.at(name);
    changes.Add(name, (LowRankProduct(update.factors) * weights.ScaleOf(update))
                          .view(like.sizes())
                          .to(like.device()));
  }
  return changes;
}

}  // namespace likeness
