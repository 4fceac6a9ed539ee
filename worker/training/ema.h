// An exponential moving average of weights, kept in float32 beside them.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace likeness {

class Ema {
 public:
  // Starts at the parameters' present values.
  Ema(std::vector<torch::Tensor> parameters, double decay);

  // average += (1 - decay) * (parameter - average). Early on the decay is min(decay, (1 + n) / (10
  // + n)) after n updates, and 0 at the first, so that the untrained weights are soon forgotten: as
  // diffusers' EMAModel.
  void Update();

  // Exchanges the averages with the parameters' values; a second call puts both back. Parameters of
  // another dtype hold rounded averages meanwhile.
  void Swap();

  const std::vector<torch::Tensor>& averages() const { return averages_; }
  // Of averages() that were written to from elsewhere.
  void set_updates(int64_t updates) { updates_ = updates; }

 private:
  std::vector<torch::Tensor> parameters_;
  double decay_;
  int64_t updates_ = 0;
  std::vector<torch::Tensor> averages_;
  // While swapped, the averages of parameters of another dtype; else undefined.
  std::vector<torch::Tensor> exact_;
};

}  // namespace likeness
