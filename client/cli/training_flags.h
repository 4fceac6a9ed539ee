// The flags of `likeness train` that say how the loss is made smaller, beside steps and rate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/flags.h"
#include "likeness/v1/fine_tune.pb.h"

namespace likeness::client {

// What is not set is left to the server.
struct TrainingFlags {
  std::string optimizer;
  std::string schedule;
  std::optional<int32_t> schedule_cycles;
  std::optional<int32_t> warmup_steps;
  std::optional<double> snr_gamma;
  std::optional<bool> debiased_estimation;
  std::optional<double> noise_offset;
  std::optional<double> input_perturbation;
  std::optional<bool> flips;
  std::optional<double> caption_dropout;
  std::optional<double> ema_decay;
  std::optional<bool> gradient_checkpointing;
  std::optional<bool> aspect_ratio_buckets;
  std::optional<bool> alpha_masks;
  std::optional<bool> fused_backward_pass;
  std::optional<double> unmasked_weight;
  std::string prior_kind;

  void AddTo(FlagSet& flags);
  // Apart, for it stands under another heading.
  void AddPriorTo(FlagSet& flags);
  // INVALID_ARGUMENT: a word is not known.
  absl::Status Apply(v1::FineTuneSpec& spec) const;
};

}  // namespace likeness::client
