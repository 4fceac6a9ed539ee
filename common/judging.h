// What server and workers both know of judging.
#pragma once

#include <algorithm>

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// Of EvaluateSpec, where it does not say.
inline constexpr int kImagesPerPromptJudged = 4;

// From how many pictures a step is judged (PicksBestStep).
inline constexpr int kStepImagesJudged = 4;

inline bool HasMasks(const google::protobuf::RepeatedPtrField<v1::Photo>& photos) {
  return std::any_of(photos.begin(), photos.end(),
                     [](const v1::Photo& photo) { return photo.has_mask(); });
}

// Whether photos of the subject that is judged may have any: given, their transparency's,
// predicted.
inline bool MayHaveMasks(const v1::FineTuneSpec& spec) {
  return (!spec.subjects().empty() && HasMasks(spec.subjects(0).photos())) ||
         spec.training().alpha_masks() || spec.training().predicted_masks();
}

// Whether the weights of the step that is judged best make the model.
inline bool PicksBestStep(const v1::FineTuneSpec& spec) {
  return spec.training().stop_rule() == v1::STOP_RULE_BEST;
}

// Whether the weights of the checkpoint with the lowest loss on the validation photos do.
inline bool PicksLowestValidationLoss(const v1::Training& training) {
  return training.stop_rule() == v1::STOP_RULE_LOWEST_VALIDATION_LOSS ||
         training.stop_rule() == v1::STOP_RULE_PLATEAU;
}

// Whether there are any to measure that on.
inline bool HasValidationPhotos(const v1::FineTuneSpec& spec) {
  for (const v1::Subject& subject : spec.subjects()) {
    if (!subject.validation_photos().empty()) return true;
  }
  return false;
}

}  // namespace likeness
