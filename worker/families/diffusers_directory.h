// Models as diffusers directories.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/families/family.h"
#include "worker/families/load_options.h"

namespace likeness {

// Reads model_index.json, which names the family, and the folders of its parts. Modules are in eval
// mode and their parameters require no gradient.
// Errors: kNotFound (no such directory), kFailedPrecondition (a part is missing, unsupported, only
// there as a pickle, or does not fit another), kDataLoss (a weight file is corrupt).
std::unique_ptr<Family> LoadModel(const std::filesystem::path& dir,
                                  const LoadOptions& options = {});

// The same without its weights: they are not filled, and a part may have none yet.
std::unique_ptr<Family> ModelOfConfigs(const std::filesystem::path& dir,
                                       const LoadOptions& options = {});

// Whether the directory's family is one that is told sizes and crops (Family::Numbers). Reads
// model_index.json alone, with its errors.
bool HasMicroConditioning(const std::filesystem::path& dir);

// Fills a part of a model from the directory's folder of its name, as LoadModel does. Errors as
// there; where a key or a shape is wrong the part is unchanged.
void LoadWeights(const std::filesystem::path& dir, const Part& part, const LoadOptions& options);

// Writes a directory that LoadModel and diffusers read, its weights in `dtype`, its scheduler's
// config as it was read. Existing files of the same names are replaced.
void SaveModel(const std::filesystem::path& dir, const Family& model, torch::ScalarType dtype);

}  // namespace likeness
