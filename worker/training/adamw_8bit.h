// AdamW whose moments are 8-bit numbers in blocks, each with a scale: Dettmers et al. 2110.02861,
// step for step as bitsandbytes' AdamW8bit.
#pragma once

#include <string>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

// A tensor as one byte a number: block b of kBlock numbers, as they lie in memory, is the map's
// values times scales[b].
struct Quantized {
  static constexpr int64_t kBlock = 256;
  torch::Tensor codes;   // uint8 [numbers]
  torch::Tensor scales;  // float32 [blocks]
};

// The 256 values that a code stands for, in order: dynamic tree quantization (section 1.3 of the
// paper), from -1 or from 0 to 1. float32 [256].
torch::Tensor DynamicMap(bool with_sign);

class AdamW8Bit : public Optimizer {
 public:
  AdamW8Bit(std::vector<ParameterGroup> groups, OptimizerOptions options);

  // "adamw_8bit.m/NAME", "adamw_8bit.v/NAME" (uint8) and with ".scales" before the slash their
  // scales; of tensors below 4,096 numbers, which keep their moments whole, those (float32);
  // "adamw_8bit.steps" (int64 [parameters]).
  NamedTensors State(const std::vector<std::string>& names) const override;

 protected:
  void Update(const std::vector<Slot>& slots, double grad_scale) override;

 private:
  struct Moment {
    Quantized bytes;      // of large tensors
    torch::Tensor whole;  // of small ones
  };

  // Numbers `begin` to `end` of a tensor, as they lie in memory.
  void UpdatePart(const Slot& slot, const torch::Tensor& flat_gradient, int64_t count,
                  double grad_scale, int64_t begin, int64_t end);
  // float32 [end - begin].
  torch::Tensor Read(const Moment& moment, const torch::Tensor& map, int64_t begin, int64_t end);
  void Write(const torch::Tensor& values, const torch::Tensor& limits, int64_t begin,
             Moment& moment);

  std::vector<Moment> first_, second_;
  torch::Tensor map_with_sign_, map_;        // of the first moment, of the second
  torch::Tensor limits_with_sign_, limits_;  // between neighbours of the maps: [255]
};

}  // namespace likeness
