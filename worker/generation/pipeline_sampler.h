// The sampler of a model.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "worker/diffusion/sampler_table.h"

namespace likeness {

class Family;

// ChooseSampler on the model's SamplerConfig(), and SetEta.
Sampler SamplerOf(const Family& model, std::string_view asked_for, double eta = 0);

// The sampler that a model directory's scheduler_config.json was written for, as
// common/sampler_names.h spells it; empty where it cannot be read or names none that is known.
std::string OwnSampler(const std::filesystem::path& model_dir);

}  // namespace likeness
