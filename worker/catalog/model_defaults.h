// What a base model recommends: `likeness_defaults.json` in its directory. An object whose members
// are "fine_tune", "generate" and the names of methods other than DreamBooth, each in the JSON form
// of the contract's message, holding only the fields that it recommends:
//   {"fine_tune": {"subjects": [{"token": "zwx"}], "training": {"steps": 200, "learningRate":
//   2e-4}},
//    "lora": {"training": {"steps": 200, "learningRate": 1e-3}},
//    "generate": {"steps": 25, "guidance": 4}}
//
// What a checkpoint in one file recommends stands beside it: "model.likeness_defaults.json" for
// "model.safetensors".
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/generate.pb.h"

namespace likeness {

inline constexpr char kModelDefaultsFile[] = "likeness_defaults.json";

struct ModelDefaults {
  v1::FineTuneSpec fine_tune;  // steps and rate for DreamBooth, the rest for all methods
  std::map<std::string, v1::FineTuneSpec> methods = {};  // over it, for the others, by their names
  v1::GenerateSpec generate;
};

// Those of a base model, whose file somebody wrote by hand. Empty where the file is not there.
// Throws Error(kFailedPrecondition) naming what cannot be read, members among them that are not
// known: they are misspelt.
ModelDefaults ReadModelDefaults(const std::filesystem::path& model_dir);

// Those of a personalized model, whose file is its base model's as it was. Members that are not
// known, a newer version's, are left out, and `warn` is told.
ModelDefaults ReadRecordedDefaults(const std::filesystem::path& model_dir,
                                   const std::function<void(const std::string&)>& warn);

}  // namespace likeness
