// The ways to teach a model a subject, as rows of a table: what is trained and how it enters the
// forward pass, and how it is written. A method owns no loop.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/families/family.h"
#include "worker/training/attached.h"

namespace likeness {

struct MethodSpec {
  double learning_rate = 0;
  std::optional<double> text_encoder_learning_rate = {};  // empty: text encoders are not trained
  torch::ScalarType compute = torch::kFloat32;            // or bfloat16, under float32 masters
};

struct WriteSpec {
  std::filesystem::path base_model;  // the diffusers directory that the model was loaded from
  std::filesystem::path out;         // made, whole or not at all; must not exist
  torch::ScalarType dtype = torch::kFloat32;
};

struct MethodRow {
  std::string_view name;  // as the contract calls it
  // The model outlives what is attached to it. What this throws (memory) leaves it as it was.
  std::unique_ptr<Attached> (*attach)(Family& model, const MethodSpec& spec);
  // Writes what was trained, and the card. Errors as WritePersonalizedModel's
  // (worker/exports/personalized_model.h).
  void (*write)(Family& model, Attached& attached, const WriteSpec& spec,
                const nlohmann::json& card);
};

// kInvalidArgument, with the names that are known, for any other.
const MethodRow& FindMethod(std::string_view name);
std::vector<std::string> MethodNames();

}  // namespace likeness
