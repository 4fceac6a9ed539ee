// Pictures are drawn in a precision of their own, with weights in an order of their own.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/families/family.h"
#include "worker/nn/packed_weights.h"

namespace likeness {

// While one lives, model.DrawingParts() compute with weights rounded to model.drawing_dtype(); the
// model's own lie untouched (where they are a mapped file, they cost no memory of the process) and
// come back with the destructor. On a CPU they are packed as well (worker/nn/packed_weights.h),
// also those of small models that are not rounded. Adapters are attached before this and removed
// after it. Within another one it does nothing. What the constructor throws (memory) leaves the
// model as it was.
class DrawingPrecision {
 public:
  explicit DrawingPrecision(const Family& model);
  ~DrawingPrecision();
  DrawingPrecision(const DrawingPrecision&) = delete;
  DrawingPrecision& operator=(const DrawingPrecision&) = delete;

 private:
  PackedWeights packed_;
  std::vector<torch::Tensor> parameters_;
  std::vector<torch::Tensor> own_;
};

}  // namespace likeness
