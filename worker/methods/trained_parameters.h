// Parameters of modules as what is trained: a model's own, or those of what lies over it.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"
#include "worker/training/attached.h"

namespace likeness {

struct TrainedPart {
  std::string name;         // "unet": begins the names of its parameters
  NamedTensors parameters;  // the modules' own: what is exchanged in them is computed with
  double learning_rate;
  bool encodes_text = false;
  bool exact = false;  // computes with its float32 values, whatever else computes in
};

// While one lives, the parts' parameters have other values, which require gradients; their own are
// kept (where they are a mapped file, they cost no memory of the process) and come back with the
// destructor.
class TrainedParameters : public Attached {
 public:
  // `compute`: float32, bfloat16 or float16. `masters`: float32, or bfloat16 where that is computed
  // in and no part is exact; the parameters are then trained themselves. What this throws (memory)
  // leaves the parts as they were.
  // `base_in_host_memory`: the parameters' own values of the masters' dtype wait in the memory of
  // the host, and the masters take their place: the device holds one copy, not two.
  TrainedParameters(const std::vector<TrainedPart>& parts, torch::ScalarType compute,
                    torch::ScalarType masters = torch::kFloat32, bool base_in_host_memory = false);
  ~TrainedParameters() override;
  TrainedParameters(const TrainedParameters&) = delete;
  TrainedParameters& operator=(const TrainedParameters&) = delete;

  const std::vector<std::string>& names() const override { return names_; }
  const std::vector<torch::Tensor>& masters() const override { return masters_; }
  std::vector<ParameterGroup> Groups() const override;  // one a part
  bool trains_text_encoders() const override;
  void FreezeTextEncoders() override;
  bool text_encoders_rest() const override { return text_encoders_frozen_; }
  void CopyMastersToParameters() override;

 protected:
  void Lend(torch::ScalarType dtype) override;
  void TakeBack() noexcept override;
  // The values before the training. A method whose parameters do not begin as what changes nothing
  // overrides both.
  void LendBase() override;
  void TakeBackBase() noexcept override;

 private:
  // `values`: one for each parameter. What the parameters compute with where others do in `dtype`.
  std::vector<torch::Tensor> ToLend(const std::vector<torch::Tensor>& values,
                                    torch::ScalarType dtype) const;
  // The values before the training, which lie where the masters do from now on.
  const std::vector<torch::Tensor>& BaseBesideMasters();
  // Keeps what the parameters compute with until TakeBack(), and lends them `values`.
  void LendValues(const std::vector<torch::Tensor>& values);

  std::vector<TrainedPart> parts_;
  torch::ScalarType compute_;
  bool text_encoders_frozen_ = false;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;  // the modules' own
  std::vector<torch::Tensor> base_;        // their values before; it may lie in host memory
  std::vector<bool> replaced_;             // whose master took the place of the value before
  std::vector<torch::Tensor> masters_;
  std::vector<torch::Tensor> computing_;  // the parameters' values while others are lent
};

// All of a module's. They share memory with it.
NamedTensors ParametersOf(const torch::nn::Module& module);

// Lets the parameters compute with other values of their shapes. Allocates nothing.
void ExchangeValues(std::vector<torch::Tensor>& parameters,
                    const std::vector<torch::Tensor>& values) noexcept;

}  // namespace likeness
