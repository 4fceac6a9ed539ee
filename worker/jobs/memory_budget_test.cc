#include "worker/jobs/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "common/job_spec.h"
#include "worker/jobs/resolve.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

// A job of 100 MiB: 40 of activations, of which checkpointing leaves 10, 20 of gradients, 30 of
// AdamW's state, of which 8-bit numbers leave 8, and 10 of weights. bfloat16 halves activations, or
// with bfloat16 weights both.
int64_t Estimate(const v1::FineTuneSpec& spec) {
  const v1::Training& training = spec.training();
  int64_t activations = training.gradient_checkpointing() ? 10 : 40;
  if (training.precision() != v1::PRECISION_FP32) activations /= 2;
  const int64_t weights = training.precision() == v1::PRECISION_BF16_WEIGHTS ? 5 : 10;
  const int64_t gradients = training.fused_backward_pass() ? 0 : 20;
  const int64_t state = training.optimizer() == v1::OPTIMIZER_ADAMW_8BIT ? 8 : 30;
  return (weights + activations + gradients + state) * kMiB;
}

v1::FineTuneSpec Asking(int64_t budget_mib,
                        const std::function<void(v1::FineTuneSpec&)>& set = {}) {
  v1::FineTuneSpec spec;
  MutableSubjectOf(spec).set_class_noun("dog");
  spec.mutable_training()->set_memory_budget_bytes(budget_mib * kMiB);
  if (set) set(spec);
  return spec;
}

struct Fitted {
  std::string text;  // or what is said against the job
  v1::Training training;
};

Fitted Fit(const v1::FineTuneSpec& asked) {
  const ModelFacts model{
      .name = "baseModels/mini", .digest = "d", .image_size = 64, .defaults = {}};
  v1::FineTuneSpec resolved = ResolveFineTune(asked, model).fine_tune();
  const auto fitted = FitMemoryBudget(asked, Estimate, resolved);
  return {fitted.ok() ? fitted->text : std::string(fitted.status().message()), resolved.training()};
}

TEST(MemoryBudgetTest, WhatCostsLeastOfAllThatFitsIsChosen) {
  const std::pair<int64_t, const char*> rows[] = {
      {100, "memory budget 100 MiB: the job's own settings, estimated 100 MiB"},
      {99, "memory budget 99 MiB: gradient checkpointing, estimated 70 MiB"},
      {69,
       "memory budget 69 MiB: gradient checkpointing and fused backward pass without clipping, "
       "estimated 50 MiB"},
      {49, "memory budget 49 MiB: gradient checkpointing and 8-bit AdamW, estimated 48 MiB"},
      {28,
       "memory budget 28 MiB: gradient checkpointing, fused backward pass without clipping and "
       "8-bit AdamW, estimated 28 MiB"},
      {27,
       "memory budget 27 MiB: gradient checkpointing, fused backward pass without clipping, 8-bit "
       "AdamW and bfloat16, estimated 23 MiB"},
      {22,
       "memory budget 22 MiB: gradient checkpointing, fused backward pass without clipping, 8-bit "
       "AdamW and bfloat16 weights, estimated 18 MiB"},
  };
  for (const auto& [budget, text] : rows) EXPECT_EQ(Fit(Asking(budget)).text, text);
}

TEST(MemoryBudgetTest, TheChosenSettingsAreThoseOfTheResolvedJob) {
  const v1::Training training = Fit(Asking(27)).training;
  EXPECT_TRUE(training.gradient_checkpointing());
  EXPECT_TRUE(training.fused_backward_pass());
  EXPECT_EQ(training.max_grad_norm(), 0);
  EXPECT_EQ(training.optimizer(), v1::OPTIMIZER_ADAMW_8BIT);
  EXPECT_EQ(training.precision(), v1::PRECISION_BF16);
  EXPECT_EQ(training.memory_budget_bytes(), 27 * kMiB);
}

TEST(MemoryBudgetTest, WhatFitsInNoWayIsRefusedWithTheLeastThatWouldBeNeeded) {
  const std::string text = Fit(Asking(17)).text;
  EXPECT_THAT(text, HasSubstr("job.fine_tune.training.memory_budget_bytes: is 17825792 (17 MiB), "
                              "and the least that this job would need is 18874368 (18 MiB), with "
                              "gradient checkpointing, fused"));
}

TEST(MemoryBudgetTest, WhatTheJobSaysStays) {
  const auto said = [](const std::function<void(v1::Training&)>& set) {
    return Fit(Asking(49, [&](v1::FineTuneSpec& spec) { set(*spec.mutable_training()); }));
  };
  EXPECT_EQ(said([](auto& t) { t.set_gradient_checkpointing(false); }).text,
            "memory budget 49 MiB: fused backward pass without clipping, 8-bit AdamW and bfloat16, "
            "estimated 38 MiB");
  EXPECT_EQ(said([](auto& t) { t.set_optimizer(v1::OPTIMIZER_ADAMW); }).text,
            "memory budget 49 MiB: gradient checkpointing, fused backward pass without clipping "
            "and bfloat16, estimated 45 MiB");
  const Fitted own = said([](auto& t) {
    t.set_gradient_checkpointing(true);
    t.set_optimizer(v1::OPTIMIZER_ADAMW_8BIT);
  });
  EXPECT_EQ(own.text, "memory budget 49 MiB: the job's own settings, estimated 48 MiB");
}

TEST(MemoryBudgetTest, AdaptersHaveNoBfloat16Weights) {
  EXPECT_THAT(Fit(Asking(22, [](v1::FineTuneSpec& spec) { spec.mutable_lora(); })).text,
              HasSubstr("the least that this job would need is 24117248 (23 MiB)"));
}

// Gradients that are clipped, accumulated, or come in pieces are needed whole.
TEST(MemoryBudgetTest, TheFusedBackwardPassIsChosenWhereItIsAllowed) {
  const auto fused = [](const std::function<void(v1::FineTuneSpec&)>& set) {
    return Fit(Asking(28, set)).training.fused_backward_pass();
  };
  EXPECT_TRUE(fused([](auto&) {}));
  EXPECT_TRUE(fused([](auto& spec) { spec.mutable_training()->set_max_grad_norm(0); }));
  EXPECT_FALSE(fused([](auto& spec) { spec.mutable_training()->set_max_grad_norm(1); }));
  EXPECT_FALSE(
      fused([](auto& spec) { spec.mutable_training()->set_gradient_accumulation_steps(2); }));
  EXPECT_FALSE(fused([](auto& spec) { spec.mutable_training()->set_fused_backward_pass(false); }));
  EXPECT_FALSE(fused([](auto& spec) { spec.mutable_hypernetwork(); }));
  const auto in_buckets = [](v1::FineTuneSpec& spec) {
    spec.mutable_training()->set_aspect_ratio_buckets(true);
  };
  EXPECT_FALSE(fused(in_buckets));
  EXPECT_TRUE(fused([&](v1::FineTuneSpec& spec) {
    in_buckets(spec);
    spec.mutable_prior()->set_weight(0);
  }));
}

}  // namespace
}  // namespace likeness
