#include "mini/pretrain_loop.h"

#include <gtest/gtest.h>

#include <fstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness::mini {
namespace {

// A matrix and a bias that learn a rotation of random vectors.
struct Toy {
  torch::Tensor matrix = torch::eye(4).set_requires_grad(true);
  torch::Tensor bias = torch::zeros({4}).set_requires_grad(true);
  int64_t fail_at = -1;  // step whose loss throws, as a stopped process would

  TrainedStage Stage() {
    TrainedStage stage;
    stage.name = "toy";
    stage.parameters = {{"layer.weight", matrix}, {"layer.bias", bias}};
    stage.warmup_steps = 2;
    stage.loss = [this](int64_t step, at::Generator generator) {
      if (step == fail_at) throw std::runtime_error("stopped");
      const auto x = torch::randn({8, 4}, generator);
      return (x.matmul(matrix) + bias - x.roll(1, 1)).square().mean();
    };
    stage.validate = [this] {
      return std::map<std::string, double>{{"norm", matrix.detach().norm().item<double>()}};
    };
    stage.draw_sheet = [](const std::filesystem::path&) {};
    return stage;
  }
};

TEST(TrainStage, GoesOnFromItsCheckpointToTheSameWeights) {
  const TrainingBudget budget{.steps = 12, .checkpoint_minutes = 0, .evaluate_minutes = 100};
  TempDir whole_dir, parts_dir;
  Toy whole, stopped, resumed;
  TrainStage(whole.Stage(), budget, whole_dir.path());

  stopped.fail_at = 7;
  EXPECT_THROW(TrainStage(stopped.Stage(), budget, parts_dir.path()), std::runtime_error);
  TrainStage(resumed.Stage(), budget, parts_dir.path());

  EXPECT_TRUE(torch::equal(whole.matrix, resumed.matrix));
  EXPECT_TRUE(torch::equal(whole.bias, resumed.bias));
}

TEST(TrainStage, OnlyLoadsWhatIsTrainedAlready) {
  const TrainingBudget budget{.steps = 3, .evaluate_minutes = 100};
  TempDir dir;
  Toy first, second;
  TrainStage(first.Stage(), budget, dir.path());
  second.fail_at = 3;
  TrainStage(second.Stage(), budget, dir.path());
  EXPECT_TRUE(torch::equal(first.matrix, second.matrix));
}

TEST(TrainStage, LogsALineOfJsonAtTheEnd) {
  TempDir dir;
  Toy toy;
  TrainStage(toy.Stage(), {.steps = 2, .evaluate_minutes = 100}, dir.path());
  std::ifstream log(dir.path() / "log.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(log, line));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["stage"], "toy");
  EXPECT_EQ(json["step"], 2);
  EXPECT_EQ(json["progress"], 1.0);
}

TEST(TrainStage, RefusesACheckpointOfOtherSizes) {
  TempDir dir;
  Toy toy, wider;
  TrainStage(toy.Stage(), {.steps = 1, .evaluate_minutes = 100}, dir.path());
  wider.matrix = torch::eye(5).set_requires_grad(true);
  EXPECT_THROW(TrainStage(wider.Stage(), {.steps = 2}, dir.path()), Error);
}

TEST(TrainStage, StopsAtALossThatIsNotFinite) {
  TempDir dir;
  Toy toy;
  auto stage = toy.Stage();
  stage.loss = [&](int64_t, at::Generator) { return (toy.matrix / 0).sum(); };
  EXPECT_THROW(TrainStage(stage, {.steps = 2}, dir.path()), Error);
}

TEST(PretrainRate, WarmsUpAndFallsToAFiftieth) {
  EXPECT_DOUBLE_EQ(PretrainRate(0, 0, 10), 0.1);
  EXPECT_DOUBLE_EQ(PretrainRate(0, 10, 10), 1);
  EXPECT_DOUBLE_EQ(PretrainRate(0.5, 1000, 10), 0.51);
  EXPECT_NEAR(PretrainRate(1, 1000, 10), 0.02, 1e-12);
}

}  // namespace
}  // namespace likeness::mini
