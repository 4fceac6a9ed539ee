// The optimizer of pretraining: Muon for weight matrices, AdamW for everything else.
//
// Muon replaces a matrix's momentum by the nearest semi-orthogonal matrix, so that every direction
// learns at the same pace (K. Jordan et al., "Muon: an optimizer for hidden layers in neural
// networks", 2024). On models this small it reached in 2 minutes of training what AdamW needed more
// than twice as long for.
#pragma once

#include <torch/torch.h>

#include "worker/training/adamw.h"
#include "worker/weights/safetensors.h"

namespace likeness::mini {

struct PretrainOptimizerOptions {
  double muon_learning_rate = 0.02;
  double muon_momentum = 0.95;
  double adamw_learning_rate = 2e-3;
};

// The nearest semi-orthogonal matrix to matrix_MN, roughly: singular values end up between .7
// and 1.2. Five Newton-Schulz steps with the quintic of the reference above.
torch::Tensor Orthogonalize(const torch::Tensor& matrix_MN);

class PretrainOptimizer {
 public:
  // Parameters by name: embeddings, the first and last layers, biases and norms go to AdamW. A
  // convolution counts as the matrix [out, in * height * width].
  PretrainOptimizer(const NamedTensors& parameters, const PretrainOptimizerOptions& options);

  // One update with the gradients that are there, which are then released. Learning rates are times
  // `factor`.
  void Step(double factor);

  // What a checkpoint holds beside the weights, under "optimizer/".
  NamedTensors State() const;
  void Restore(const SafetensorsFile& checkpoint, int64_t steps);

 private:
  void StepMuon(double learning_rate);

  PretrainOptimizerOptions options_;
  NamedTensors matrices_;
  NamedTensors others_;
  std::vector<torch::Tensor> momenta_;  // of matrices_
  AdamW adamw_;                         // of others_
};

}  // namespace likeness::mini
