#include "mini/pretrain_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "mini/pretrain_log.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/training/ema.h"
#include "worker/training/training_rng.h"

namespace likeness::mini {
namespace {

using Clock = std::chrono::steady_clock;

// Everything that a stage goes on from.
class Training {
 public:
  Training(const TrainedStage& stage, const TrainingBudget& budget,
           const std::filesystem::path& directory)
      : stage_(stage),
        budget_(budget),
        file_(directory / (stage.name + ".checkpoint.safetensors")),
        optimizer_(stage.parameters, stage.optimizer),
        ema_(TensorsOf(stage.parameters), stage.ema_decay) {
    if (std::filesystem::exists(file_)) Load();
    started_ = Clock::now() - std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(seconds_before_));
  }

  int64_t step() const { return step_; }
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }
  // Share of the budget that is spent, at most 1.
  double Progress() const {
    if (budget_.steps > 0) return std::min(1.0, static_cast<double>(step_) / budget_.steps);
    return std::min(1.0, Seconds() / (budget_.minutes * 60));
  }
  void UseAverages() { ema_.Swap(); }
  void UseWeights() { ema_.Swap(); }

  // One step; returns its loss.
  double Step() {
    auto loss = stage_.loss(step_, StepGenerator(budget_.seed, step_));
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error(ErrorKind::kFailedPrecondition, "pretraining of the " + stage_.name +
                                                      " diverged: the loss of step " +
                                                      std::to_string(step_) + " is not finite");
    }
    loss.backward();
    optimizer_.Step(PretrainRate(Progress(), step_, stage_.warmup_steps));
    ema_.Update();
    ++step_;
    return value;
  }

  void Save() const {
    NamedTensors tensors = optimizer_.State();
    for (size_t i = 0; i < stage_.parameters.size(); ++i) {
      const auto& [name, parameter] = stage_.parameters[i];
      tensors.emplace_back("weight/" + name, parameter.detach());
      tensors.emplace_back("average/" + name, ema_.averages()[i]);
    }
    WriteSafetensors(file_, tensors,
                     {{"step", std::to_string(step_)}, {"seconds", std::to_string(Seconds())}});
  }

 private:
  void Load() {
    torch::NoGradGuard no_grad;
    const auto checkpoint = SafetensorsFile::Open(file_);
    step_ = std::stoll(checkpoint.metadata().at("step"));
    seconds_before_ = std::stod(checkpoint.metadata().at("seconds"));
    for (size_t i = 0; i < stage_.parameters.size(); ++i) {
      const auto& [name, parameter] = stage_.parameters[i];
      const auto saved = checkpoint.Get("weight/" + name);
      if (saved.sizes() != parameter.sizes()) {
        throw Error(ErrorKind::kFailedPrecondition,
                    "the checkpoint of stage " + stage_.name +
                        " was made with other sizes; start in an empty directory (" + name + ")");
      }
      parameter.detach().copy_(saved);
      ema_.averages()[i].copy_(checkpoint.Get("average/" + name));
    }
    optimizer_.Restore(checkpoint, step_);
    ema_.set_updates(step_);
  }

  const TrainedStage& stage_;
  const TrainingBudget& budget_;
  std::filesystem::path file_;
  PretrainOptimizer optimizer_;
  Ema ema_;
  int64_t step_ = 0;
  double seconds_before_ = 0;
  Clock::time_point started_;
};

// True once every `minutes`, measured from construction.
class Every {
 public:
  explicit Every(double minutes) : period_(minutes * 60), last_(Clock::now()) {}
  bool Due() {
    if (Clock::now() - last_ < period_) return false;
    last_ = Clock::now();
    return true;
  }

 private:
  std::chrono::duration<double> period_;
  Clock::time_point last_;
};

void Evaluate(const TrainedStage& stage, Training& training, PretrainLog& log,
              const std::filesystem::path& directory, double mean_loss) {
  torch::NoGradGuard no_grad;
  training.UseAverages();
  nlohmann::json line = {{"stage", stage.name},
                         {"step", training.step()},
                         {"samples", training.step() * stage.samples_per_step},
                         {"seconds", std::round(training.Seconds())},
                         {"progress", training.Progress()},
                         {"loss", mean_loss}};
  for (const auto& [name, value] : stage.validate()) line[name] = value;
  log.Write(line);
  char number[16];
  std::snprintf(number, sizeof(number), "%07lld", static_cast<long long>(training.step()));
  stage.draw_sheet(directory / "sheets" / (stage.name + "-" + number + ".png"));
  training.UseWeights();
}

}  // namespace

TrainingBudget StageBudget(const PretrainOptions& options, double minutes, int64_t steps) {
  return {.minutes = minutes,
          .steps = steps,
          .checkpoint_minutes = options.checkpoint_minutes,
          .evaluate_minutes = options.evaluate_minutes,
          .seed = options.seed};
}

NamedTensors NamedParameters(const torch::nn::Module& module, const std::string& prefix) {
  NamedTensors parameters;
  for (const auto& item : module.named_parameters()) {
    item.value().set_requires_grad(true);
    parameters.emplace_back(prefix + item.key(), item.value());
  }
  return parameters;
}

double PretrainRate(double progress, int64_t step, int64_t warmup_steps) {
  const double warmup =
      std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(warmup_steps));
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return warmup * (0.02 + 0.98 * cosine);
}

void TrainStage(const TrainedStage& stage, const TrainingBudget& budget,
                const std::filesystem::path& directory) {
  Training training(stage, budget, directory);
  PretrainLog log(directory / "log.jsonl");
  Every checkpoint(budget.checkpoint_minutes), evaluate(budget.evaluate_minutes);
  double loss_sum = 0;
  int64_t loss_count = 0;
  const int64_t resumed_at = training.step();
  while (training.Progress() < 1) {
    loss_sum += training.Step();
    ++loss_count;
    if (checkpoint.Due()) training.Save();
    if (evaluate.Due()) {
      Evaluate(stage, training, log, directory, loss_sum / loss_count);
      loss_sum = 0, loss_count = 0;
    }
  }
  if (training.step() > resumed_at) {
    training.Save();
    Evaluate(stage, training, log, directory, loss_count ? loss_sum / loss_count : 0);
  }
  training.UseAverages();
}

}  // namespace likeness::mini
