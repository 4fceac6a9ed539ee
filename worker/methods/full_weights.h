// Whole parts of a model as what is trained: DreamBooth's own way.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/training/attached.h"

namespace likeness {

struct TrainedPart {
  std::string name;  // "unet": begins the names of its parameters
  torch::nn::Module* module;
  double learning_rate;
  bool encodes_text = false;
};

// While one lives, the parts' parameters are copies that require gradients; the model's own values
// lie untouched (where they are a mapped file, they cost no memory of the process) and come back
// with the destructor.
class FullWeights : public Attached {
 public:
  // `compute`: float32 or bfloat16. The parts outlive this. What this throws (memory) leaves the
  // parts as they were.
  FullWeights(const std::vector<TrainedPart>& parts, torch::ScalarType compute);
  ~FullWeights() override;
  FullWeights(const FullWeights&) = delete;
  FullWeights& operator=(const FullWeights&) = delete;

  const std::vector<std::string>& names() const override { return names_; }
  const std::vector<torch::Tensor>& masters() const override { return masters_; }
  std::vector<ParameterGroup> Groups() const override;  // one a part
  bool trains_text_encoders() const override;
  void CopyMastersToParameters() override;

 protected:
  void Lend(torch::ScalarType dtype) override;
  void TakeBack() noexcept override;

 private:
  std::vector<TrainedPart> parts_;
  torch::ScalarType compute_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;  // the modules' own
  std::vector<torch::Tensor> base_;        // their values before
  std::vector<torch::Tensor> masters_;
  std::vector<torch::Tensor> computing_;  // the parameters' values while others are lent
};

}  // namespace likeness
