// When training ends, and whose weights make the model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "worker/methods/fine_tune_fixture.h"
#include "worker/methods/trained_parameters.h"
#include "worker/training/train.h"

namespace likeness {
namespace {

class EndOfTrainingTest : public FineTuneModelTest {};

TEST_F(EndOfTrainingTest, TheCheckpointWithTheLowestValidationLossMakesTheModel) {
  FineTuneOptions options = Job();
  options.lowest_validation_loss = true;
  options.validation_photos = {{.image = TestImage(3)}};
  options.checkpoint_every = 2;
  options.learning_rate = 1e-2;
  options.steps = 12;
  const auto result = Train(options, "out");
  const auto card = Card("out");
  ASSERT_EQ(card.at("validation_losses").size(), 6u);
  double lowest = std::numeric_limits<double>::infinity();
  int64_t best = 0;
  for (const auto& checkpoint : card.at("validation_losses")) {
    const double loss = checkpoint.at("loss");
    if (loss >= lowest) continue;
    lowest = loss;
    best = checkpoint.at("step");
  }
  EXPECT_EQ(result.best_step, best);
  EXPECT_EQ(card.at("best_step"), best);
  EXPECT_EQ(result.validation_loss_after, lowest) << "of the weights that the model has";
  EXPECT_EQ(result.losses.size(), 12u);
  ASSERT_EQ(result.measured.size(), 7u) << "before the first step, and of the checkpoints";
  EXPECT_EQ(result.measured[0].measured.validation_loss, result.validation_loss_before);
  EXPECT_EQ(*result.measured[6].measured.validation_loss,
            card.at("validation_losses").at(5).at("loss").get<double>());
  ExpectResumable(options, "lowest");
}

// At this rate no weight moves, so that no checkpoint is better than the first.
FineTuneOptions Standstill() {
  FineTuneOptions options = Job();
  options.lowest_validation_loss = true;
  options.patience = 3;
  options.validation_photos = options.photos;
  options.checkpoint_every = 1;
  options.learning_rate = 1e-30;
  options.steps = 20;
  return options;
}

TEST_F(EndOfTrainingTest, TrainingEndsWhenThreeCheckpointsInARowHaveNotLoweredTheLoss) {
  FineTuneOptions options = Standstill();
  const auto ended = Train(options, "ended");
  EXPECT_EQ(ended.losses.size(), 4u);
  EXPECT_EQ(ended.best_step, 1);
  EXPECT_EQ(Card("ended").at("validation_losses").size(), 4u);
  options.patience = 0;
  options.steps = 5;
  EXPECT_EQ(Train(options, "patient").losses.size(), 5u);
  options = Standstill();
  options.validation_photos.clear();
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
}

TEST_F(EndOfTrainingTest, TheEndOfTrainingIsTheSameAfterAnyInterruption) {
  const FineTuneOptions options = Standstill();
  ExpectResumable(options, "interrupted");  // in between
  // When it has ended, while the model is saved; and while the last checkpoint is measured.
  for (const bool measuring : {false, true}) {
    const std::string name = measuring ? "while measuring" : "while saving";
    int asked = 0;  // after the last step: before it is measured, then within
    host(name).stop = [&](const RecordingHost& host) {
      const bool saving = !host.progress.empty() && host.progress.back().phase == Phase::kSaving;
      const bool within = measuring && host.steps_done() == 4 && ++asked >= 2;
      return saving || within ? StopReason::kDrain : StopReason::kNone;
    };
    EXPECT_EQ(FailureOf(options, name), ErrorKind::kCancelled);
    host(name).stop = nullptr;
    EXPECT_EQ(Train(options, name).losses.size(), 4u);
    EXPECT_EQ(Bytes("interrupted", kUnetFile), Bytes(name, kUnetFile));
    EXPECT_EQ(Card("interrupted"), Card(name));
  }
}

TEST_F(EndOfTrainingTest, CheckpointsThatAHostLeavesOutChangeNothing) {
  FineTuneOptions options = Standstill();
  options.patience = 0;
  options.checkpoint_every = 2;  // scored all the same
  options.learning_rate = 1e-2;
  options.steps = 6;
  Train(options, "each");
  // Stopped before a score, within one (of three photos), and right after one.
  for (const int ask : {1, 3, 6}) {
    for (int64_t steps = 2; steps <= options.steps; ++steps) {
      const std::string name = "few " + std::to_string(steps) + " " + std::to_string(ask);
      host(name).leaves_out_intervals = true;
      int asked = 0;
      host(name).stop = [&](const RecordingHost& host) {
        return host.steps_done() >= steps && ++asked >= ask ? StopReason::kDrain
                                                            : StopReason::kNone;
      };
      EXPECT_EQ(FailureOf(options, name), ErrorKind::kCancelled);
      EXPECT_EQ(host(name).checkpoints.size(), 1u) << name;
      host(name).stop = nullptr;
      Train(options, name);
      EXPECT_EQ(Bytes("each", kUnetFile), Bytes(name, kUnetFile)) << name;
      EXPECT_EQ(Card("each"), Card(name)) << name;
    }
  }
}

TEST_F(EndOfTrainingTest, WhereTrainingEndsEarlyItsLastStepIsKept) {
  const FineTuneOptions options = Standstill();
  host("early").leaves_out_intervals = true;
  EXPECT_EQ(Train(options, "early").losses.size(), 4u);
  EXPECT_EQ(host("early").checkpoints, std::vector<int64_t>{4});
  host("drained").leaves_out_intervals = true;
  host("drained").stop = [](const RecordingHost& host) {
    const bool saving = !host.progress.empty() && host.progress.back().phase == Phase::kSaving;
    return saving ? StopReason::kDrain : StopReason::kNone;
  };
  EXPECT_EQ(FailureOf(options, "drained"), ErrorKind::kCancelled);
  EXPECT_EQ(host("drained").checkpoints, std::vector<int64_t>{4});
  host("drained").stop = nullptr;
  Train(options, "drained");
  EXPECT_EQ(Bytes("early", kUnetFile), Bytes("drained", kUnetFile));
  EXPECT_EQ(Card("early"), Card("drained"));
}

// The masters are the average by then, and going on from them would average again.
TEST_F(EndOfTrainingTest, NoCheckpointIsTakenOfWhatMakesTheModel) {
  FineTuneOptions options = Job();
  options.ema_decay = 0.9;
  options.learning_rate = 1e-2;
  options.checkpoint_every = 0;
  Train(options, "straight");
  host("drained").fails_to_write = true;
  host("drained").stop = [&](const RecordingHost& running) {
    if (running.progress.empty() || running.progress.back().phase != Phase::kSaving) {
      return StopReason::kNone;
    }
    host("drained").fails_to_write = false;
    return StopReason::kDrain;
  };
  EXPECT_EQ(FailureOf(options, "drained"), ErrorKind::kCancelled);
  EXPECT_TRUE(host("drained").checkpoints.empty());
  host("drained").stop = nullptr;
  Train(options, "drained");
  EXPECT_EQ(Bytes("straight", kUnetFile), Bytes("drained", kUnetFile));
}

TEST_F(EndOfTrainingTest, ACheckpointThatCouldNotBeWrittenIsOfferedAgainWhereTheJobIsToStop) {
  FineTuneOptions options = Job();
  options.checkpoint_every = 2;
  options.steps = 4;
  RecordingHost& drained = host("drained");
  drained.fails_to_write = true;
  drained.stop = [&](const RecordingHost& running) {
    if (running.steps_done() < 2) return StopReason::kNone;
    drained.fails_to_write = false;
    return StopReason::kDrain;
  };
  EXPECT_EQ(FailureOf(options, "drained"), ErrorKind::kCancelled);
  EXPECT_EQ(drained.checkpoints, std::vector<int64_t>{2});
}

// Learns nothing, and predicts far off when it is asked at the end.
class RuinedInTheEnd : public Objective {
 public:
  explicit RuinedInTheEnd(const torch::Tensor& weight) : weight_(weight) {}
  torch::Tensor Loss(int64_t, at::Generator&) override {
    return torch::GradMode::is_enabled() ? (weight_ * 0).sum() : torch::tensor(1e6F);
  }
  double ScaleOfLoss() const override { return 1; }

 private:
  const torch::Tensor& weight_;
};

TEST(PatienceTest, DivergenceIsSaidOfTheStepAtWhichTrainingEnded) {
  TempDir temp;
  torch::nn::Linear layer(2, 2);
  for (auto& parameter : layer->parameters()) parameter.requires_grad_(false);
  TrainedParameters trained({{"layer", ParametersOf(*layer), 1e-3}}, torch::kFloat32);
  RuinedInTheEnd objective(layer->weight);
  RecordingHost host(temp.path());
  LoopOptions options;
  options.steps = 20;
  options.checkpoint_every = 1;
  options.patience = 2;
  options.score = [](const auto&) { return std::optional(Judged{.score = 1}); };
  try {
    Train(trained, objective, options, host);
    FAIL() << "it does not diverge";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("at step 3:"));
  }
}

// A sum of all weights, which overflows at one step.
class OverflowsOnce : public Objective {
 public:
  OverflowsOnce(const torch::Tensor& weight, int64_t step) : weight_(weight), step_(step) {}
  torch::Tensor Loss(int64_t step, at::Generator&) override {
    return (weight_ * (step == step_ ? std::numeric_limits<float>::infinity() : 1.F)).sum();
  }
  double ScaleOfLoss() const override { return 1; }

 private:
  const torch::Tensor& weight_;
  int64_t step_;
};

// As torch.amp.GradScaler, which never looks at the loss.
TEST(LossScalingTest, AStepWhoseLossIsNotFiniteIsSkippedAndTrainingGoesOn) {
  for (const int64_t overflow : {0, 3}) {
    TempDir temp;
    torch::nn::Linear layer(torch::nn::LinearOptions(2, 2).bias(false));
    torch::nn::init::ones_(layer->weight);
    layer->weight.requires_grad_(false);
    TrainedParameters trained({{"layer", ParametersOf(*layer), 1e-3}}, torch::kFloat32);
    OverflowsOnce objective(layer->weight, overflow);
    RecordingHost host(temp.path());
    LoopOptions options;
    options.steps = 6;
    options.loss_scaling = true;
    Train(trained, objective, options, host);
    EXPECT_EQ(host.steps_done(), 6);
    for (const Progress& progress : host.progress) {
      if (progress.loss) EXPECT_TRUE(std::isfinite(*progress.loss));
    }
    EXPECT_LT(layer->weight.max().item<float>(), 1 - 4e-3) << "five steps of a thousandth";
    EXPECT_GT(layer->weight.min().item<float>(), 1 - 6e-3);
  }
}

}  // namespace
}  // namespace likeness
