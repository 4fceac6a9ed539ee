// Published settings for kinds of subjects: `likeness train --preset`.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/model.pb.h"

namespace likeness::client {

std::vector<std::string> PresetNames();

// Sets what the preset recommends for the method of `spec`: steps, learning rate, number of class
// images, and whether the text encoder is trained. A field that `spec` sets stays, and one for
// which `base` recommends another value than the method's published one is left to it. Null: it is
// not known which base model it will be. docs/training.md has the values' sources. Returns what is
// left to the base model where the preset says otherwise, in words: "steps".
//
// An empty `preset` sets nothing. INVALID_ARGUMENT: there is no such preset, or none for the
// method.
absl::StatusOr<std::vector<std::string>> ApplyPreset(const std::string& preset,
                                                     const v1::BaseModel* base,
                                                     v1::FineTuneSpec& spec);

}  // namespace likeness::client
