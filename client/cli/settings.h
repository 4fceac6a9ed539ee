// The settings of jobs that have a flag: of FineTuneSpec on `likeness train`, of GenerateSpec on
// `likeness generate`, of EvaluateSpec on `likeness evaluate`.
#pragma once

#include "absl/types/span.h"
#include "client/cli/setting_flags.h"

namespace likeness::client {

absl::Span<const SettingFlag> TrainSettings();
absl::Span<const SettingFlag> GenerateSettings();
absl::Span<const SettingFlag> EvaluateSettings();

// Headings of TrainSettings with which other flags stand.
inline constexpr absl::string_view kTrainingHeading =
    "Training (what is not given is the base model's recommendation)";
inline constexpr absl::string_view kPriorHeading = "Prior preservation";
inline constexpr absl::string_view kPicturesHeading = "Pictures";

}  // namespace likeness::client
