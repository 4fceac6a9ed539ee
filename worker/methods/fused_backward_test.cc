// Weights that are moved while the backward pass goes on, through the whole of a fine-tune.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "worker/methods/fine_tune_fixture.h"

namespace likeness {
namespace {

class FusedBackwardTest : public FineTuneModelTest {};

TEST_F(FusedBackwardTest, TheFusedBackwardPassTrainsToTheSameBits) {
  for (const char* optimizer : {"adamw", "adamw_8bit", "adafactor"}) {
    for (const auto precision : {TrainingPrecision::kFloat32, TrainingPrecision::kBfloat16,
                                 TrainingPrecision::kBfloat16Weights}) {
      FineTuneOptions options = Job();
      options.optimizer = {.name = optimizer, .max_grad_norm = 0};
      options.train_text_encoder = true;
      options.precision = precision;
      options.gradient_checkpointing = precision == TrainingPrecision::kFloat32;
      options.ema_decay = 0.9;
      const std::string name = std::string(optimizer) + " " + TrainingPrecisionName(precision);
      const auto apart = Train(options, name).losses;
      options.fused_backward_pass = true;
      EXPECT_EQ(Train(options, name + " fused").losses, apart) << name;
      for (const char* file : {kUnetFile, kTextFile}) {
        EXPECT_EQ(Bytes(name + " fused", file), Bytes(name, file)) << name;
      }
      EXPECT_EQ(host(name + " fused").Steps().back().grad_norm,
                host(name).Steps().back().grad_norm);
    }
  }
}

TEST_F(FusedBackwardTest, TheFusedBackwardPassResumesToTheSameBits) {
  FineTuneOptions options = Job();
  options.optimizer.max_grad_norm = 0;
  options.fused_backward_pass = true;
  options.method = "lora";
  options.lora = {.rank = 2, .alpha = 2};
  ExpectResumable(options, "model");
}

TEST_F(FusedBackwardTest, TheFusedBackwardPassIsRefusedWhereAllGradientsAreNeeded) {
  FineTuneOptions fused = Job();
  fused.optimizer.max_grad_norm = 0;
  fused.fused_backward_pass = true;
  const auto refused = [&](const char* why, const auto& set) {
    FineTuneOptions options = fused;
    set(options);
    EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument) << why;
    EXPECT_THAT(failure_, testing::HasSubstr(why));
  };
  refused("max_grad_norm", [](auto& o) { o.optimizer.max_grad_norm = 1; });
  refused("gradient_accumulation", [](auto& o) { o.gradient_accumulation = 2; });
  refused("prodigy", [](auto& o) { o.optimizer.name = "prodigy"; });
  refused("hypernetwork", [](auto& o) {
    o.method = "hypernetwork";
    o.gradient_checkpointing = true;
  });
  refused("aspect_ratio_buckets", [](auto& o) {
    o.aspect_ratio_buckets = true;
    o.gradient_checkpointing = true;
  });
}

TEST_F(FusedBackwardTest, TheFusedBackwardPassTakesTwoForwardsOfUnlikeSizes) {
  FineTuneOptions options = InBuckets();
  options.optimizer.max_grad_norm = 0;
  const auto apart = Train(options, "apart").losses;
  options.fused_backward_pass = true;
  EXPECT_EQ(Train(options, "fused").losses, apart);
  EXPECT_EQ(Bytes("fused", kUnetFile), Bytes("apart", kUnetFile));
}

}  // namespace
}  // namespace likeness
