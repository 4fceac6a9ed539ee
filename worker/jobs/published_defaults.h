// The settings of a fine-tune where neither a job nor its base model says any: those that each
// method was published with, as the contract's comments give them.
#pragma once

#include <vector>

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// All methods, DreamBooth first.
std::vector<v1::FineTuneSpec::MethodCase> PublishedMethods();

v1::FineTuneSpec PublishedDefaults(v1::FineTuneSpec::MethodCase method);

}  // namespace likeness
