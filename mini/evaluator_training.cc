#include "mini/evaluator_training.h"

#include <string>
#include <utility>

#include "mini/autoencoder.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/diffusers_directory.h"

namespace likeness::mini {

std::unique_ptr<Family> LoadDrawer(const PretrainOptions& options) {
  return LoadModel(options.model.empty() ? options.directory / "model" : options.model);
}

Album DrawTrainingAlbum(const PretrainOptions& options, Family& drawer) {
  if (options.pictures < kTrainingViews * kClasses * options.measures_batch / 2) {
    throw Error(ErrorKind::kInvalidArgument,
                std::to_string(options.pictures) + " pictures are too few for the evaluators");
  }
  auto album = DrawAlbum(kFirstPretrainingSeed, static_cast<int>(options.pictures / kTrainingViews),
                         kTrainingViews);
  album.Blur([&](const torch::Tensor& pictures_BCHW) {
    return ThroughAutoencoder(drawer, pictures_BCHW);
  });
  return album;
}

TrainedStage EvaluatorStage(const char* name, NamedTensors parameters, int64_t batch) {
  TrainedStage stage;
  stage.name = name;
  stage.parameters = std::move(parameters);
  stage.optimizer = {.adamw_learning_rate = 1e-3, .adamw_beta2 = 0.99};
  stage.ema_decay = 0.995;
  stage.samples_per_step = batch;
  stage.draw_sheet = [](const std::filesystem::path&) {};
  return stage;
}

void WriteEvaluator(const std::filesystem::path& directory, const nlohmann::json& config,
                    const std::vector<const torch::nn::Module*>& modules,
                    const NamedTensors& others) {
  std::filesystem::create_directories(directory);
  NamedTensors tensors;
  for (const auto* module : modules) {
    for (auto& [name, tensor] : StateDict(*module)) {
      tensors.emplace_back(name, tensor.to(torch::kFloat16));
    }
  }
  tensors.insert(tensors.end(), others.begin(), others.end());
  WriteSafetensors(directory / "model.safetensors", tensors, {{"format", "pt"}});
  WriteJsonFile(directory / "config.json", config);
}

}  // namespace likeness::mini
