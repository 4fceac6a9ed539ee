#include "mini/pretrain_lpips.h"

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

TEST(PretrainLpips, LeavesWhatTheWorkerLoadsAndGoesOnWhereItWasStopped) {
  TempDir run;
  SaveModel(run.path() / "model", TinyModel(), torch::kFloat32);
  const PretrainOptions options{.directory = run.path(),
                                .stage = PretrainStage::kLpips,
                                .evaluator_steps = 2,
                                .pictures = 64,
                                .measures_batch = 2};
  PretrainMini(options);
  const auto found = FindEvaluators(run.path()).found;
  auto networks = LoadEvaluators(ChooseEvaluators(found, {"mini-lpips"}), torch::kCPU);
  ASSERT_TRUE(networks.lpips);
  const auto a = networks.lpips->Features(Render(PretrainingDepiction(1)));
  const auto b = networks.lpips->Features(Render(PretrainingDepiction(2)));
  EXPECT_EQ(networks.lpips->Distance(a, a), 0);
  // Of pictures that have little in common it is about 1.
  EXPECT_GT(networks.lpips->Distance(a, b), 0.2);
  EXPECT_LT(networks.lpips->Distance(a, b), 5);
  nlohmann::json reached;
  std::ifstream(run.path() / "lpips.json") >> reached;
  EXPECT_TRUE(reached["mini-lpips"].contains("2afc"));
  EXPECT_TRUE(reached["pixels"].contains("shift"));

  const auto weights = run.path() / "mini-lpips" / "model.safetensors";
  const auto before = Sha256OfFile(weights);
  PretrainMini(options);  // all steps are made
  EXPECT_EQ(Sha256OfFile(weights), before);
}

}  // namespace
}  // namespace likeness::mini
