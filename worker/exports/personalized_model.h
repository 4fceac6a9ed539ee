// A personalized model on disk: the base's diffusers directory with some of its weights replaced,
// and a card.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/io/safetensors.h"
#include "worker/exports/model_directory.h"

namespace likeness {

struct ChangedComponent {
  std::string folder;        // "unet"
  std::string weights_file;  // "diffusion_pytorch_model.safetensors"
  NamedTensors weights;
  std::optional<std::string> config = {};  // in place of the base's config.json
};

// Whether a file of a base model, at `relative` in its directory, becomes part of a personalized
// model whose weights are others in the folders `changed`. Configurations, tokenizer files and
// safetensors do; pickles, single-file checkpoints beside model_index.json and the base's own card
// do not.
bool IsShared(const std::filesystem::path& relative, const std::vector<std::string>& changed);

// Makes directory `out`, whole or not at all. Every other file of the base that is part of the
// model is there as a hard link, or a copy where the file system allows none, so content-addressed
// storage keeps it once. `finish` is called with the directory that becomes `out`, of whose files
// none may be written to: it may be the base's, which has it too. `poll`, where there is one, is
// called before each tensor; what it throws comes through. Errors: kFailedPrecondition if `out`
// exists or a weight does not fit into `dtype`; kDiskFull; kInternal.
void WritePersonalizedModel(const std::filesystem::path& base, const std::filesystem::path& out,
                            const std::vector<ChangedComponent>& changed, torch::ScalarType dtype,
                            const nlohmann::json& card,
                            const std::function<void(const std::filesystem::path&)>& finish = {},
                            const std::function<void()>& poll = {});

}  // namespace likeness
