// The training loop that both trained stages share: learning rate over the budget, moving average,
// checkpoints, validation, sheets, log.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "mini/pretrain.h"
#include "mini/pretrain_optimizer.h"
#include "worker/base/io/safetensors.h"

namespace likeness::mini {

// What a stage trains, and how it is seen to be learning.
struct TrainedStage {
  std::string name;  // "vae": names its checkpoint, sheets and lines in the log
  NamedTensors parameters;
  PretrainOptimizerOptions optimizer;
  double ema_decay = 0.999;
  int64_t warmup_steps = 200;
  int64_t samples_per_step = 1;

  // A scalar. Everything random in step `step` is drawn from `generator`.
  std::function<torch::Tensor(int64_t step, at::Generator generator)> loss;
  // Both are called with the averaged weights in place. What is measured goes to the log by name.
  std::function<std::map<std::string, double>()> validate;
  std::function<void(const std::filesystem::path& png)> draw_sheet;
};

struct TrainingBudget {
  double minutes = 0;
  int64_t steps = 0;  // other than 0: replaces the minutes
  double checkpoint_minutes = 3;
  double evaluate_minutes = 5;
  uint32_t seed = 0;
};

// The budget of one stage: minutes, or a number of steps if that is not 0.
TrainingBudget StageBudget(const PretrainOptions& options, double minutes, int64_t steps);

// The parameters of a module by name, each with `prefix` before it. They share memory with the
// module.
NamedTensors NamedParameters(const torch::nn::Module& module, const std::string& prefix = "");

// Learning-rate factor when `progress` (0..1) of the budget is spent: linear warm-up over the first
// steps, then a half cosine down to a fiftieth.
double PretrainRate(double progress, int64_t step, int64_t warmup_steps);

// Trains until the budget is spent, from `directory`/<name>.checkpoint.safetensors if that is
// there, and leaves the averaged weights in `stage.parameters`. A stage whose budget is spent
// already only loads them.
void TrainStage(const TrainedStage& stage, const TrainingBudget& budget,
                const std::filesystem::path& directory);

}  // namespace likeness::mini
