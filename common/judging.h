// What server and workers both know of judging.
#pragma once

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// Of EvaluateSpec, where it does not say.
inline constexpr int kImagesPerPromptJudged = 4;

// From how many pictures a step is judged (PicksBestStep).
inline constexpr int kStepImagesJudged = 4;

// Whether the weights of the step that is judged best make the model.
inline bool PicksBestStep(const v1::FineTuneSpec& spec) {
  return spec.training().stop_rule() == v1::STOP_RULE_BEST;
}

}  // namespace likeness
