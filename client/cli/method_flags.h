// The flags of `likeness train` that choose the method and its settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/flags.h"
#include "likeness/v1/fine_tune.pb.h"

namespace likeness::client {

// What is not set is left to the server: the base model's recommended value.
struct MethodFlags {
  std::string method = "dreambooth";
  std::optional<bool> train_text_encoder;
  std::optional<int32_t> text_encoder_steps;
  std::optional<int32_t> rank;
  std::optional<double> alpha;
  std::optional<std::string> variant;
  std::optional<double> up_rate_ratio;
  std::optional<int32_t> vectors;
  std::optional<std::string> layer_structure;
  std::optional<std::string> activation;

  void AddTo(FlagSet& flags);

  // INVALID_ARGUMENT: a flag is wrong, or of another method.
  absl::Status SetIn(v1::FineTuneSpec& spec) const;
};

}  // namespace likeness::client
