#pragma once

#include <vector>

namespace likeness {

enum class HypernetworkActivation { kLinear, kRelu, kSilu };

// The networks of a hypernetwork; defaults are AUTOMATIC1111's.
struct HypernetworkOptions {
  std::vector<double> layer_structure = {1, 2, 1};  // widths, in multiples of the context's
  HypernetworkActivation activation = HypernetworkActivation::kLinear;  // but after the last layer
  bool layer_norm = false;                                              // after each layer
  double dropout = 0;          // share of values left out between the layers in a training step
  bool self_attention = true;  // those layers get networks as well
};

}  // namespace likeness
