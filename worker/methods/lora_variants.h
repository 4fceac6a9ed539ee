// How a layer's update is made of its factors. Shapes: r the rank, the layer's weight [out, in] or
// [out, in, k, k]. What is drawn is drawn in the order in which the factors are listed.
#pragma once

#include <torch/torch.h>

#include "worker/base/io/safetensors.h"
#include "worker/exports/lora_file.h"
#include "worker/nn/hookable_layers.h"
#include "worker/training/lora_options.h"

namespace likeness {

struct LoraVariantRow {
  LoraVariant variant;
  // The factors by their names in files, float32 on the layer's device, as the model begins: the
  // update is zero.
  NamedTensors (*begin)(const torch::Tensor& weight, const LoraOptions& options,
                        at::Generator& generator);
  const char* begins_as_zeros;  // the factor that does
  // Whether the factors are an update of such a weight.
  bool (*fits)(at::IntArrayRef weight, const LoraFactors& factors);
  // What is added to the weight, float32, differentiable in the factors. Null for LoRA, whose
  // update is cheaper as two layers (LowRankUpdate).
  torch::Tensor (*change)(const torch::Tensor& weight, const LoraFactors& factors, double scale);
};

// LoRA's product of its factors, [out, inputs], float32.
torch::Tensor LowRankProduct(const LoraFactors& factors);

// `factor` with rows (dimension 0) or columns (1) of zeros up to `rank`.
torch::Tensor FilledUp(const torch::Tensor& factor, int64_t dimension, int64_t rank);

const LoraVariantRow& RowOf(LoraVariant variant);
// How many numbers the factors of such a weight's update have at most.
int64_t MostNumbers(at::IntArrayRef weight, const LoraOptions& options);
// Of which these are the factors. Error: kFailedPrecondition.
const LoraVariantRow& RowOf(const LoraFactors& factors);

}  // namespace likeness
