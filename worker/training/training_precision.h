// The number formats of a training.
#pragma once

#include <c10/core/ScalarType.h>

namespace likeness {

enum class TrainingPrecision {
  kFloat32,
  kBfloat16,         // forward and backward pass, with float32 master weights
  kFloat16,          // the same, with dynamic loss scaling (loss_scale.h)
  kBfloat16Weights,  // no master weights: the optimizer rounds stochastically
};

// Of the forward and backward pass.
constexpr c10::ScalarType ComputeDtype(TrainingPrecision precision) {
  if (precision == TrainingPrecision::kFloat32) return c10::kFloat;
  return precision == TrainingPrecision::kFloat16 ? c10::kHalf : c10::kBFloat16;
}

// Of the weights that the optimizer changes.
constexpr c10::ScalarType MasterDtype(TrainingPrecision precision) {
  return precision == TrainingPrecision::kBfloat16Weights ? c10::kBFloat16 : c10::kFloat;
}

// As settings call it: "fp32".
constexpr const char* TrainingPrecisionName(TrainingPrecision precision) {
  switch (precision) {
    case TrainingPrecision::kFloat32:
      return "fp32";
    case TrainingPrecision::kBfloat16:
      return "bf16";
    case TrainingPrecision::kFloat16:
      return "fp16";
    case TrainingPrecision::kBfloat16Weights:
      return "bf16_weights";
  }
  return "fp32";
}

}  // namespace likeness
