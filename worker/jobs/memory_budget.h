// Training.memory_budget_bytes: settings of a fine-tune that save memory, chosen to fit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// The most bytes that a training with these resolved settings takes.
using EstimateMemory = std::function<int64_t(const v1::FineTuneSpec& resolved)>;

struct FittedMemory {
  std::string text;  // "memory budget 8.0 GiB: 8-bit AdamW, estimated 6.9 GiB"
  int64_t estimated_bytes = 0;
};

// Changes, of what the job `asked` leaves open, what has to be changed for `resolved` to fit its
// memory_budget_bytes: of all combinations of settings that fit, that which costs least time.
// INVALID_ARGUMENT, naming the field, the least that the job would need, and by which settings,
// where none fits.
absl::StatusOr<FittedMemory> FitMemoryBudget(const v1::FineTuneSpec& asked,
                                             const EstimateMemory& estimate,
                                             v1::FineTuneSpec& resolved);

}  // namespace likeness
