// The sampler of a model.
#pragma once

#include <string_view>

#include "worker/diffusion/sampler_table.h"

namespace likeness {

struct Pipeline;

// ChooseSampler on the checkpoint's scheduler_config.json. kInvalidArgument too if eta is not within
// 0 to 1.
Sampler SamplerOf(const Pipeline& pipeline, std::string_view asked_for, double eta = 0);

}  // namespace likeness
