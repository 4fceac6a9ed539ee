// Pictures are drawn in a precision of their own.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/families/family.h"

namespace likeness {

// While one lives, the weights of model.DrawingParts() are rounded to model.drawing_dtype(); the
// model's own lie untouched (where they are a mapped file, they cost no memory of the process) and
// come back with the destructor. Within another one it does nothing. What the constructor throws
// (memory) leaves the model as it was.
class DrawingPrecision {
 public:
  explicit DrawingPrecision(const Family& model);
  ~DrawingPrecision();
  DrawingPrecision(const DrawingPrecision&) = delete;
  DrawingPrecision& operator=(const DrawingPrecision&) = delete;

 private:
  std::vector<torch::Tensor> parameters_;
  std::vector<torch::Tensor> own_;
};

}  // namespace likeness
