// What a base model recommends: `likeness_defaults.json` in its directory. An object with up to
// four members, each in the JSON form of the contract's message, holding only the fields that it
// recommends:
//   {"fine_tune": {"subjects": [{"token": "zwx"}], "training": {"steps": 200, "learningRate":
//   2e-4}},
//    "lora": {"training": {"steps": 200, "learningRate": 1e-3}},
//    "generate": {"steps": 25, "guidance": 4}}
#pragma once

#include <filesystem>

#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/generate.pb.h"

namespace likeness {

struct ModelDefaults {
  v1::FineTuneSpec fine_tune;          // steps and rate for DreamBooth, the rest for all methods
  v1::FineTuneSpec lora;               // over it, for LoRA
  v1::FineTuneSpec textual_inversion;  // the same
  v1::GenerateSpec generate;
};

// Empty where the file is not there. Throws Error(kFailedPrecondition) naming what cannot be read.
ModelDefaults ReadModelDefaults(const std::filesystem::path& model_dir);

}  // namespace likeness
