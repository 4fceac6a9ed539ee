// What the training of the miniature's evaluators shares.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "mini/album.h"
#include "mini/pretrain.h"
#include "mini/pretrain_loop.h"
#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/families/family.h"

namespace likeness::mini {

// The finished model that evaluators are for.
std::unique_ptr<Family> LoadDrawer(const PretrainOptions& options);

// What they learn from; the last view of each identity as the drawer's autoencoder gives it back.
Album DrawTrainingAlbum(const PretrainOptions& options, Family& drawer);

// AdamW at 1e-3, and no sheets. Its loss and what it is validated by are still to be set.
TrainedStage EvaluatorStage(const char* name, NamedTensors parameters, int64_t batch);

// Parameters and buffers of the modules in float16, and `others` as they are, in
// `directory`/model.safetensors; its config.json beside.
void WriteEvaluator(const std::filesystem::path& directory, const nlohmann::json& config,
                    const std::vector<const torch::nn::Module*>& modules,
                    const NamedTensors& others = {});

}  // namespace likeness::mini
