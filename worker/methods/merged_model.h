// A model with its adapters merged into its weights: as tensors, as a directory, as a single file.
// W + dW takes the place of W, and a learned word becomes tokens behind the vocabulary.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/io/safetensors.h"
#include "worker/methods/method.h"

namespace likeness {

// Ends the name of a layer's weight.
inline constexpr const char* kWeightSuffix = ".weight";

// A part of the model as it is with the adapters.
struct MergedPart {
  Part part;
  NamedTensors weights;  // all of them; what stays shares memory with the model
  bool changed = false;
  std::optional<std::string> config = {};  // its config.json, where that is another
};

// `model` has no adapters over it. Throws Error(kFailedPrecondition) where an adapter changes what
// the model does not have.
std::vector<MergedPart> Merge(const Family& model, const MergedAdapters& merged);

// "rex", "rex_1", ...: the tokens of the words, in their order. diffusers' pipelines read the first
// for all of a word's.
std::vector<std::string> TokensOf(const std::vector<NewWord>& words);

// Makes the diffusers directory `out`, whole or not at all, with the card. Weights that nothing
// changes are `source`'s files, which the model was read from; with float16 all are converted.
// `poll` and errors as WritePersonalizedModel's; kFailedPrecondition where the tokens of two words
// would be read as one word's.
void WriteMergedModel(const std::filesystem::path& source, const std::vector<MergedPart>& parts,
                      const std::vector<NewWord>& words, bool float16, const nlohmann::json& card,
                      const std::filesystem::path& out, const std::function<void()>& poll = {});
// All weights that such a directory holds, by part and name: views of the files.
std::map<std::string, NamedTensors> ReadMergedModel(const std::filesystem::path& directory,
                                                    const std::vector<MergedPart>& parts);

// Throws Error(kInternal) naming the first key that is missing, one too many, or not what `parts`
// has, after a conversion to float16 where that was written.
void CheckReadBack(const std::vector<MergedPart>& parts, bool float16,
                   const std::map<std::string, NamedTensors>& read);

// One pass of the denoiser at a fixed noise and timestep; text encoders included. NChw, float32, on
// the CPU.
torch::Tensor OnePass(Family& model, const std::string& prompt);
// The same with other weights of the parts, which are the model's own again afterwards. `read`: as
// ReadMergedModel gives them. Rows behind a vocabulary are those of `words`.
torch::Tensor OnePassWith(Family& model, const std::map<std::string, NamedTensors>& read,
                          const std::vector<NewWord>& words, const std::string& prompt);
// ||a - b|| / ||b||.
double RelativeDifference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace likeness
