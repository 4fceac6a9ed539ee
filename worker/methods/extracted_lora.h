// A LoRA made of what two models differ by: of each layer the best update of a rank, by truncated
// singular value decomposition (Eckart and Young 1936), as kohya's extract_lora_from_models does.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "worker/exports/lora_file.h"
#include "worker/methods/merged_model.h"

namespace likeness {

struct ModelDifference {
  // By part and layer, "unet/down_blocks.0.attentions.0.proj_in", of denoisers and text encoders:
  // what the layer's weight differs by, float32. Layers that are equal are left out.
  std::map<std::string, torch::Tensor> layers;
  double rest_squared = 0;  // the sum of squares of what no update holds: norms, biases, rows
};

// Of the merged model from the base model's directory, both of one architecture.
ModelDifference DifferenceFrom(const std::filesystem::path& base,
                               const std::vector<MergedPart>& parts);

struct ExtractedLora {
  LoraWeights weights;              // `scale.rank`: the largest of the layers' ranks
  double relative_error = 0;        // ||difference - updates|| / ||difference||, the rest included
  double energy = 0;                // the share of the layers' squared singular values that is kept
  int64_t layers_below_energy = 0;  // that keep less than was asked for: `rank` ends before it
};

struct ExtractionOptions {
  int64_t rank;  // the largest; where no layer has as many, the most that one has
  // The share of each layer's squared singular values that its update keeps with the least rank, at
  // least 1, as long as `rank` allows. Empty: all layers get the same rank.
  std::optional<double> energy = {};
};

// `poll` is called between layers. Error: kFailedPrecondition where no layer differs.
ExtractedLora ExtractLora(const ModelDifference& difference, const ExtractionOptions& options,
                          const std::function<void(int64_t done, int64_t total)>& poll);

// What the updates add to the layers' weights.
MergedAdapters AsChanges(const LoraWeights& weights, const ModelDifference& difference);

}  // namespace likeness
