#include "worker/methods/training_memory.h"

#include <gtest/gtest.h>

#include "worker/families/tiny_model.h"
#include "worker/methods/method.h"
#include "worker/methods/method_spec.h"

namespace likeness {
namespace {

class TrainingMemoryTest : public testing::Test {
 protected:
  int64_t Of(const FineTuneOptions& options, torch::Device device = torch::kCPU) {
    return EstimateTrainingMemory(model_, options, device);
  }

  int64_t UnetNumbers() {
    int64_t numbers = 0;
    for (const Part& part : model_.Parts()) {
      if (part.role != Role::kDenoiser) continue;
      for (const auto& parameter : part.module->parameters()) numbers += parameter.numel();
    }
    return numbers;
  }

  // Photos enough for activations to count most.
  FineTuneOptions LargeBatch() { return {.batch_size = 64}; }

  StableDiffusion model_ = TinyModel();
};

TEST_F(TrainingMemoryTest, WhatSavesMemoryIsReckonedToSaveIt) {
  FineTuneOptions options = LargeBatch();
  int64_t before = Of(options);
  const auto expect_less = [&](const char* what) {
    EXPECT_LT(Of(options), before) << what;
    before = Of(options);
  };
  options.gradient_checkpointing = true;
  expect_less("gradient checkpointing");
  options.optimizer.name = "adamw_8bit";
  expect_less("8-bit AdamW");
  options.prior_weight = 0;
  expect_less("no prior");
  options.batch_size = 1;
  expect_less("one photo");
  options.fused_backward_pass = true;
  expect_less("fused backward pass");
  options.method = "lora";
  expect_less("an adapter");
}

TEST_F(TrainingMemoryTest, EachTrainedNumberCosts) {
  const int64_t numbers = UnetNumbers();
  FineTuneOptions options = LargeBatch();
  const int64_t adamw = Of(options);
  options.optimizer.name = "prodigy";
  EXPECT_EQ(Of(options) - adamw, 8 * numbers);
  options.optimizer.name = "adamw";
  options.ema_decay = 0.9;
  EXPECT_EQ(Of(options) - adamw, 4 * numbers);
  options.lowest_validation_loss = true;
  EXPECT_EQ(Of(options) - adamw, 8 * numbers);
}

TEST_F(TrainingMemoryTest, SixteenBitsHalveActivationsAndNotMasters) {
  FineTuneOptions options = LargeBatch();
  const int64_t float32 = Of(options);
  options.precision = TrainingPrecision::kBfloat16;
  const int64_t with_masters = Of(options);
  EXPECT_LT(with_masters, float32);
  options.precision = TrainingPrecision::kBfloat16Weights;
  EXPECT_EQ(with_masters - Of(options), 4 * UnetNumbers());
}

TEST_F(TrainingMemoryTest, OnAGpuFloat32MastersTakeThePlaceOfTheWeights) {
  using enum TrainingPrecision;
  const auto saved = [&](const FineTuneOptions& options) {
    return Of(options) - Of(options, torch::kCUDA);
  };
  for (const auto precision : {kFloat32, kBfloat16, kFloat16}) {
    EXPECT_EQ(saved({.precision = precision}), 4 * UnetNumbers());
  }
  EXPECT_EQ(saved({.precision = kBfloat16Weights}), 0);
  EXPECT_EQ(saved({.prior_kind = PriorKind::kBasePrediction}), 0);
  EXPECT_EQ(saved({.method = "lora"}), 0);
}

TEST_F(TrainingMemoryTest, SamplesCostAlike) {
  FineTuneOptions options = LargeBatch();
  const int64_t of_64 = Of(options);
  options.batch_size = 128;
  const int64_t of_128 = Of(options);
  options.batch_size = 192;
  EXPECT_EQ(Of(options) - of_128, of_128 - of_64);
}

// Rows of words and biases are too few to count.
TEST_F(TrainingMemoryTest, EveryMethodReckonsWithTheNumbersThatItTrains) {
  for (const std::string& method : MethodNames()) {
    FineTuneOptions options;
    options.method = method;
    options.class_noun = "dog";
    const MethodSpec spec = MethodSpecOf(options);
    double numbers = 0;
    const auto attached = FindMethod(method).attach(model_, spec);
    for (size_t i = 0; i < attached->names().size(); ++i) {
      if (attached->names()[i].find("new_rows") != std::string::npos) continue;
      numbers += static_cast<double>(attached->masters()[i].numel());
    }
    const auto reckoned = FindMethod(method).trained_memory(model_, spec).trained;
    EXPECT_NEAR(static_cast<double>(reckoned), numbers, 0.2 * numbers) << method;
  }
}

TEST_F(TrainingMemoryTest, EveryMethodTakesAtLeastTheModel) {
  int64_t model = 0;
  for (const Part& part : model_.Parts()) {
    for (const auto& parameter : part.module->parameters()) {
      model += static_cast<int64_t>(parameter.nbytes());
    }
  }
  for (const std::string& method : MethodNames()) {
    FineTuneOptions options;
    options.method = method;
    EXPECT_GT(Of(options), model) << method;
  }
}

}  // namespace
}  // namespace likeness
