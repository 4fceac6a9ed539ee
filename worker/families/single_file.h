// Between a checkpoint in one file, in the original layout, and a diffusers directory.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "worker/base/io/safetensors.h"
#include "worker/diffusion/noise_schedule.h"

namespace likeness {

struct ImportOptions {
  std::optional<PredictionType> prediction_type = {};  // where the file does not say it
  std::function<void()> poll = {};                     // as in LoadOptions
};

// Makes directory `out`, whole or not at all, of the safetensors `file`; every tensor keeps its
// dtype and, but for its place, its bytes. The vocabulary, which such a file does not hold, is
// CLIP's from the folder tokenizer/ beside the file (and tokenizer_2/, where it is there). Errors:
// kFailedPrecondition (out is there already; what ReadSingleFileModel and LoadModel refuse),
// kDataLoss, kNotFound without a vocabulary, kDiskFull, kInternal.
void ImportSingleFile(const std::filesystem::path& file, const std::filesystem::path& out,
                      const ImportOptions& options = {});

// Writes a diffusers directory as one file that the original tools and diffusers' from_single_file
// read, whole or not at all; tensors in `dtype`, or each in its own. Tokenizer and configurations
// are not part of it; what the model predicts stands in the metadata. `poll`, where there is one,
// is called before each tensor is written; what it throws leaves no file. Errors as LoadModel's,
// and kDiskFull, kInternal.
void ExportSingleFile(const std::filesystem::path& dir, const std::filesystem::path& file,
                      std::optional<torch::ScalarType> dtype = {},
                      const std::function<void()>& poll = {});

// The weights that ExportSingleFile wrote of `dir`, by the parts there ("unet") and the names of
// their parameters; views of the file where that is possible. Errors as LoadModel's.
std::map<std::string, NamedTensors> ReadSingleFile(const std::filesystem::path& file,
                                                   const std::filesystem::path& dir);

}  // namespace likeness
