// What a rehearsal says that it measured of a training: made up, when a real one would measure it.
#pragma once

#include <cstdint>
#include <optional>

#include "likeness/v1/fine_tune.pb.h"
#include "worker/jobs/prompts.h"
#include "worker/training/measurements.h"

namespace likeness {

// A curve that falls as losses do.
double RehearsedLoss(int64_t step, int64_t steps);

// What would be measured in the first `done` steps. `spec`: resolved; `words`: of its prompts.
std::optional<LatestMeasured> RehearsedMeasurements(const v1::FineTuneSpec& spec,
                                                    const PromptWords& words, int64_t done);

}  // namespace likeness
