// Training settings that save memory, and what they cannot be combined with.
#pragma once

#include <vector>

#include "common/rpc_error.h"
#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// What `spec`, as it was asked for or resolved, combines that must not be combined: bfloat16
// weights are for models that are trained as a whole, and the fused backward pass needs each
// gradient in one piece, and of its own. Fields are paths within the spec: "training.precision".
std::vector<FieldViolation> MemorySettingViolations(const v1::FineTuneSpec& spec);

}  // namespace likeness
