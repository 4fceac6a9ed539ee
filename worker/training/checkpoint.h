// Everything needed to resume a training run, as one safetensors file. Random numbers need no state
// (training_rng.h), and the position in the data follows from the step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker/training/best_step.h"
#include "worker/training/checkpoint_contents.h"
#include "worker/training/ema.h"
#include "worker/training/loss_scale.h"
#include "worker/training/measurements.h"
#include "worker/training/optimizer.h"

namespace likeness {

struct TrainingState {
  int64_t step = 0;                // optimizer steps done
  std::vector<float> losses = {};  // one a step
  BestStep best = {};
  std::vector<MeasuredStep> measured = {};  // in order
  // Of the steps done, with a loss scale: those that changed nothing that is trained. Known at the
  // end; a checkpoint has it as part of the scale.
  std::optional<int64_t> skipped_steps = {};
};

// What a run moves, beside its step. Names and masters: of every trained parameter, in the
// optimizer's order.
struct TrainedState {
  const std::vector<std::string>& names;
  const std::vector<torch::Tensor>& masters;
  Optimizer& optimizer;
  Ema* average;                     // of the masters; may be null
  LossScale* loss_scale = nullptr;  // may be null
};

// Tensors "weight/<name>" (as the masters) and, where there is an average, "average/<name>"
// (float32), the optimizer's state as it names it, "loss_scale" where there is one, "losses"; where
// steps were scored "best/<name>", "scores" (float64) and "scored_steps" (int64); where something
// was measured "measured" (float64 [n,3]: validation loss, subject and prompt score, NaN where one
// was not) and "measured_steps" (int64); metadata "step" and "job", which says which run this is
// part of. The tensors are the run's own, until its next step.
CheckpointContents ContentsOf(const std::string& job, const TrainingState& state,
                              const TrainedState& trained);

// Fills what is trained. A checkpoint without "adamw.steps", as earlier versions wrote them, counts
// every parameter as updated in every step, as they did; a "loss_scale" of theirs, of two numbers,
// counts no skipped steps; theirs may not hold what was measured. Throws
// Error(kFailedPrecondition) if the file belongs to another job or holds other parameters,
// Error(kDataLoss) if it is cut.
TrainingState LoadTrainingState(const std::filesystem::path& file, const std::string& job,
                                const TrainedState& trained);

}  // namespace likeness
