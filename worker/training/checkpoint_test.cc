#include "worker/training/checkpoint.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"
#include "worker/base/io/temp_dir.h"
#include "worker/training/optimizer_table.h"

namespace likeness {
namespace {

// A run of one weight, in 16-bit floats.
struct OneWeight {
  explicit OneWeight(float value)
      : masters{torch::full({2}, value)},
        optimizer(MakeOptimizer({{.parameters = masters, .learning_rate = 1e-3}}, {})) {}
  TrainedState trained() { return {names, masters, *optimizer, nullptr, &loss_scale}; }

  std::vector<std::string> names = {"w"};
  std::vector<torch::Tensor> masters;
  std::unique_ptr<Optimizer> optimizer;
  LossScale loss_scale;
};

TEST(CheckpointTest, SkippedStepsAreKeptWithTheLossScale) {
  const TempDir dir;
  OneWeight saved(2), loaded(0);
  saved.loss_scale.Update(/*finite=*/false, /*step=*/0);
  const CheckpointContents contents =
      ContentsOf("job", {.step = 1, .losses = {0.5f}}, saved.trained());
  WriteSafetensors(dir.path() / "file", contents.tensors, contents.metadata);
  EXPECT_EQ(LoadTrainingState(dir.path() / "file", "job", loaded.trained()).step, 1);
  EXPECT_EQ(loaded.loss_scale.value(), LossScale::kInitial * LossScale::kBackoff);
  EXPECT_EQ(loaded.loss_scale.skipped_steps(), 1);
  EXPECT_TRUE(torch::equal(loaded.masters[0], saved.masters[0]));
}

TEST(CheckpointTest, ALossScaleThatCountsNoSkippedStepsIsReadAsWell) {
  const TempDir dir;
  OneWeight saved(2), loaded(0);
  saved.loss_scale.Update(/*finite=*/false, /*step=*/0);
  CheckpointContents contents = ContentsOf("job", {.step = 1, .losses = {0.5f}}, saved.trained());
  for (auto& [name, tensor] : contents.tensors) {
    if (name == "loss_scale") tensor = tensor.slice(0, 0, 2).clone();
  }
  WriteSafetensors(dir.path() / "file", contents.tensors, contents.metadata);
  LoadTrainingState(dir.path() / "file", "job", loaded.trained());
  EXPECT_EQ(loaded.loss_scale.value(), LossScale::kInitial * LossScale::kBackoff);
  EXPECT_EQ(loaded.loss_scale.skipped_steps(), 0);
}

TEST(CheckpointTest, WhatWasMeasuredIsKept) {
  const TempDir dir;
  OneWeight saved(2), loaded(0);
  const TrainingState state{.step = 4,
                            .losses = {0.5f, 0.4f, 0.3f, 0.2f},
                            .measured = {{0, {.validation_loss = 0.25}},
                                         {3, {.subject_score = 0.5, .prompt_score = 0.125}}}};
  const CheckpointContents contents = ContentsOf("job", state, saved.trained());
  WriteSafetensors(dir.path() / "file", contents.tensors, contents.metadata);
  const auto read = LoadTrainingState(dir.path() / "file", "job", loaded.trained()).measured;
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].step, 0);
  EXPECT_EQ(read[0].measured.validation_loss, 0.25);
  EXPECT_FALSE(read[0].measured.scored());
  EXPECT_EQ(read[1].step, 3);
  EXPECT_FALSE(read[1].measured.validation_loss);
  EXPECT_EQ(read[1].measured.subject_score, 0.5);
  EXPECT_EQ(read[1].measured.prompt_score, 0.125);
}

}  // namespace
}  // namespace likeness
