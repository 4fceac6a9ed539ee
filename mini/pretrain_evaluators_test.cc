#include "mini/pretrain_evaluators.h"

#include <gtest/gtest.h>

#include <fstream>

#include "mini/world.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/sha256.h"
#include "worker/base/io/temp_dir.h"
#include "worker/evaluation/evaluators.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"

namespace likeness::mini {
namespace {

TEST(PretrainEvaluators, LeavesWhatTheWorkerLoadsAndGoesOnWhereItWasStopped) {
  TempDir run;
  SaveModel(run.path() / "model", TinyModel(), torch::kFloat32);
  const PretrainOptions options{.directory = run.path(),
                                .stage = PretrainStage::kEvaluators,
                                .evaluator_steps = 2,
                                .pictures = 64,
                                .measures_batch = 2};
  PretrainMini(options);
  const auto found = FindEvaluators(run.path()).found;
  auto networks = LoadEvaluators(ChooseEvaluators(found, {"mini-clip", "mini-dino"}), torch::kCPU);
  ASSERT_TRUE(networks.dino && networks.clip);
  const Image picture = Render(PretrainingDepiction(1));
  EXPECT_NEAR(networks.dino->Embed(picture).norm().item<double>(), 1, 1e-5);
  const auto seen = networks.clip->Embed(picture), said = networks.clip->EmbedText("a dog");
  EXPECT_EQ(seen.sizes(), said.sizes());
  nlohmann::json reached;
  std::ifstream(run.path() / "evaluators.json") >> reached;
  EXPECT_TRUE(reached["mini-clip"].contains("scene"));

  const auto weights = run.path() / "mini-dino" / "model.safetensors";
  const auto before = Sha256OfFile(weights);
  PretrainMini(options);  // all steps are made
  EXPECT_EQ(Sha256OfFile(weights), before);
}

}  // namespace
}  // namespace likeness::mini
