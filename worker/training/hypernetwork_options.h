#pragma once

#include <string>
#include <vector>

namespace likeness {

// The networks of a hypernetwork; defaults are AUTOMATIC1111's.
struct HypernetworkOptions {
  std::vector<double> layer_structure = {1, 2, 1};  // widths, in multiples of the context's
  std::string activation = "linear";                // one of NamedActivations()
  bool activate_output = false;                     // behind the last layer as well
  bool layer_norm = false;                          // after each layer
  double dropout = 0;              // share of values left out between the layers in a training step
  bool last_layer_dropout = true;  // before the last layer as well
  bool self_attention = true;      // those layers get networks as well
  std::string weight_initialization = "normal";  // one of WeightInitializations()
};

}  // namespace likeness
