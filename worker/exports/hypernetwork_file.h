// A hypernetwork as a file of its own, in AUTOMATIC1111's layout
// (modules/hypernetworks/hypernetwork.py) but as safetensors: there it is a pickle.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

// What all networks of one have in common.
struct HypernetworkShape {
  std::vector<double> layer_structure;  // widths, in multiples of the context's; the ends are 1
  std::string activation;               // NamedActivation::class_name
  bool activate_output = false;         // behind the last layer as well
  bool layer_norm = false;              // after each layer
  // In training, behind the layer that makes a width: one share for each width; empty: none.
  std::vector<double> dropout_structure;
  bool self_attention = true;  // contexts of self-attention go through them, too

  bool operator==(const HypernetworkShape&) const = default;

  size_t Layers() const { return layer_structure.size() - 1; }
  // Of what goes on behind the layer, from 0.
  bool IsActivated(size_t layer) const;
  double DropoutBehind(size_t layer) const;
  // Of each layer the index of its linear and of its normalization (-1: none) in the list of
  // modules that A1111 builds, which has activations and dropouts as well.
  std::vector<std::pair<int, int>> Modules() const;
  // Of the network's layers, for contexts of `width`: from 0 to the last.
  std::vector<int64_t> Widths(int64_t width) const;
};

// The networks for contexts of one width. Parameters by A1111's names: "linear.0.weight".
struct HypernetworkPair {
  int64_t width;
  NamedTensors keys, values;
};

struct Hypernetwork {
  HypernetworkShape shape;
  std::vector<HypernetworkPair> pairs;
  std::string weight_initialization = "Normal";  // by A1111's name; of no effect once trained
};

inline constexpr const char* kHypernetworkFile = "hypernetwork.safetensors";
// Tensors are called "320.0.linear.0.weight": the width, 0 for keys or 1 for values, the parameter.
// The rest is JSON in the metadata, under A1111's names.
void WriteHypernetwork(const std::filesystem::path& file, const Hypernetwork& hypernetwork);
// What WriteHypernetwork wrote. Errors: those of SafetensorsFile::Open; kFailedPrecondition for
// what is no such file.
Hypernetwork ReadHypernetwork(const std::filesystem::path& file);

// "320.0.linear.0.weight".
std::string HypernetworkKey(int64_t width, bool values, const std::string& parameter);
// The parameters' names and shapes of a network for contexts of `width`.
std::vector<std::pair<std::string, std::vector<int64_t>>> HypernetworkParameters(
    const HypernetworkShape& shape, int64_t width);

}  // namespace likeness
