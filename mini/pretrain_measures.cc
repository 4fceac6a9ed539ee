#include "mini/pretrain_measures.h"

#include <fstream>

#include "mini/album.h"
#include "mini/measures.h"
#include "mini/pretrain_data.h"
#include "mini/pretrain_loop.h"
#include "mini/pretrain_vae.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/checkpoints/state_dict.h"

namespace likeness::mini {
namespace {

Embed Forward(IdentityEncoder& encoder) {
  return [encoder](const torch::Tensor& x_BCHW) mutable { return encoder->Forward(x_BCHW); };
}

Classify Forward(AttributeClassifier& classifier) {
  return [classifier](const torch::Tensor& x_BCHW) mutable { return classifier->Forward(x_BCHW); };
}

TrainedStage Stage(const char* name, const torch::nn::Module& module, int64_t batch) {
  TrainedStage stage;
  stage.name = name;
  stage.parameters = NamedParameters(module);
  stage.optimizer = {.adamw_learning_rate = 2e-3};
  stage.ema_decay = 0.99;
  stage.samples_per_step = batch;
  stage.draw_sheet = [](const std::filesystem::path&) {};
  return stage;
}

}  // namespace

void PretrainMeasures(const PretrainOptions& options) {
  if (options.pictures < kTrainingViews * kClasses * options.measures_batch / 2) {
    throw Error(ErrorKind::kInvalidArgument,
                std::to_string(options.pictures) +
                    " pictures are too few for the measures: half a batch of identities of each "
                    "class, four views each, is the least");
  }
  torch::manual_seed(options.seed);
  auto vae = LoadPretrainedVae(options.directory);
  auto album = DrawAlbum(kFirstPretrainingSeed, static_cast<int>(options.pictures / kTrainingViews),
                         kTrainingViews);
  album.Blur([&](const torch::Tensor& pictures_BCHW) {
    return vae->Decode(vae->Encode(pictures_BCHW).mean_BChw);
  });
  const auto held_out = DrawAlbum(kFirstHeldOutSeed, kHeldOutPerClass * kClasses, kHeldOutViews);
  const auto budget = StageBudget(options, 0, options.measures_steps);
  Measures measures;

  auto identity = Stage("identity", *measures.identity, 2 * options.measures_batch);
  identity.loss = [&](int64_t, at::Generator generator) {
    return IdentityLoss(Forward(measures.identity), album, options.measures_batch, generator);
  };
  identity.validate = [&] { return IdentityAccuracy(Forward(measures.identity), held_out); };
  TrainStage(identity, budget, options.directory);

  auto attributes = Stage("attributes", *measures.attributes, options.measures_batch);
  attributes.loss = [&](int64_t, at::Generator generator) {
    return AttributeLoss(Forward(measures.attributes), album, options.measures_batch, generator);
  };
  attributes.validate = [&] { return AttributeAccuracy(Forward(measures.attributes), held_out); };
  TrainStage(attributes, budget, options.directory);

  // What is written is measured: the weights as float16.
  const auto eval = options.directory / "eval";
  SaveMeasures(measures, eval);
  torch::NoGradGuard no_grad;
  auto saved = LoadMeasures(eval);
  const nlohmann::json accuracy = {
      {"identity", IdentityAccuracy(Forward(saved.identity), held_out)},
      {"attributes", AttributeAccuracy(Forward(saved.attributes), held_out)}};
  std::ofstream(eval / "measures.json") << accuracy.dump(2) << "\n";
}

}  // namespace likeness::mini
