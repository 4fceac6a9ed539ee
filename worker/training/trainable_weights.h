// The weights a recipe trains, lent to a model for a while.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/training/adamw.h"

namespace likeness {

struct TrainedComponent {
  std::string name;  // "unet": begins the names of its parameters
  torch::nn::Module* module;
  double learning_rate;
};

// While one lives, the components' parameters are copies that require gradients; the model's own
// values lie untouched (where they are a mapped file, they cost no memory of the process) and come
// back with the destructor.
class TrainableWeights {
 public:
  // `compute`: float32 or bfloat16. The components outlive this. What this throws (memory) leaves
  // the components as they were.
  TrainableWeights(const std::vector<TrainedComponent>& components, torch::ScalarType compute);
  ~TrainableWeights();
  TrainableWeights(const TrainableWeights&) = delete;
  TrainableWeights& operator=(const TrainableWeights&) = delete;

  // "unet/conv_in.weight", ...; and, in the same order, the float32 values that are trained.
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<torch::Tensor>& masters() const { return masters_; }

  // The parameters of the components, one group each, as AdamW takes them.
  std::vector<ParameterGroup> Groups() const;

  // Brings the parameters up to date with masters that were written to from elsewhere.
  void CopyMastersToParameters();

  // Throws Error(kFailedPrecondition) naming a weight with a value that is not finite. The last
  // update of a run is followed by no loss that would show it.
  void CheckFinite(int64_t step) const;

 private:
  friend class WeightsInDtype;
  std::vector<TrainedComponent> components_;
  torch::ScalarType compute_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;  // the modules' own
  std::vector<torch::Tensor> base_;        // their values before
  std::vector<torch::Tensor> masters_;
};

// While one lives, the components compute with the trained values in another dtype: the pipeline's,
// for previews; float32, to save them. What is trained stays what it is.
class WeightsInDtype {
 public:
  WeightsInDtype(TrainableWeights& weights, torch::ScalarType dtype);
  ~WeightsInDtype();
  WeightsInDtype(const WeightsInDtype&) = delete;
  WeightsInDtype& operator=(const WeightsInDtype&) = delete;

 private:
  TrainableWeights& weights_;
  std::vector<torch::Tensor> computing_;
};

}  // namespace likeness
