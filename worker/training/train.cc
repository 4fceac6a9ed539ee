#include "worker/training/train.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/number_text.h"
#include "worker/base/allocator.h"
#include "worker/base/error.h"
#include "worker/training/checkpoint.h"
#include "worker/training/ema.h"
#include "worker/training/loss_scale.h"
#include "worker/training/optimizer_table.h"
#include "worker/training/progress_meter.h"
#include "worker/training/step_in_backward.h"
#include "worker/training/training_rng.h"

namespace likeness {
namespace {

[[noreturn]] void ThrowDiverged(double loss, int64_t step, const LoopOptions& options) {
  throw Error(
      ErrorKind::kFailedPrecondition,
      "the loss is " + NumberText(loss) + " at step " + std::to_string(step) +
          ": training diverged; try a lower learning rate" +
          (options.loss_scaling ? ", or the precision bf16 or fp32, which hold larger values"
                                : ""));
}

// Gradients of optimizer step `step`, times `loss_scale`, from as many forward passes as are
// accumulated; calls `between` with their number so far. Returns their mean loss.
double AccumulateGradients(Attached& attached, Objective& objective, const LoopOptions& options,
                           int64_t step, double loss_scale,
                           const std::function<void(int done)>& between) {
  at::Generator generator = StepGenerator(options.seed, step);
  attached.BeginStep(generator);
  double mean_loss = 0;
  for (int part = 0; part < options.gradient_accumulation; ++part) {
    if (part > 0) between(part);
    const auto loss = objective.Loss(step * options.gradient_accumulation + part, generator) /
                      static_cast<double>(options.gradient_accumulation);
    mean_loss += loss.item<double>();
    // Where the loss is scaled, the gradients decide whether the step is made.
    if (!std::isfinite(mean_loss) && !options.loss_scaling) ThrowDiverged(mean_loss, step, options);
    (loss_scale == 1 ? loss : loss * loss_scale).backward();
  }
  return mean_loss;
}

bool IsCheckpoint(int64_t step, const LoopOptions& options) {
  // The last: what follows may be cut short when the attached weights are gone.
  return (options.checkpoint_every > 0 && step % options.checkpoint_every == 0) ||
         step == options.steps;
}

// A run that goes on from a checkpoint finds its scores there, and decides the same.
bool PatienceEnds(const BestStep& best, const LoopOptions& options) {
  return options.patience > 0 && best.SinceBest() >= options.patience;
}

void TakeBest(const BestStep& best, Attached& attached) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < attached.masters().size(); ++i) {
    attached.masters()[i].detach().copy_(best.masters()[i]);
  }
  attached.CopyMastersToParameters();
}

// Throws Error(kFailedPrecondition) for a model that predicts far worse than one that predicts
// nothing. `step`: the last that was done, which may be before options.steps.
void CheckLastLoss(Objective& objective, const LoopOptions& options, int64_t step) {
  constexpr double kDiverged = 100;
  torch::NoGradGuard no_grad;
  at::Generator generator = StepGenerator(options.seed, options.steps);
  const double loss =
      objective.Loss(options.steps * options.gradient_accumulation, generator).item<double>();
  if (!(loss <= kDiverged * objective.ScaleOfLoss())) ThrowDiverged(loss, step, options);
}

}  // namespace

void Train(Attached& attached, Objective& objective, const LoopOptions& options, Host& host) {
  const KeepFreedMemory keep;  // each step takes and frees the same

  // Setup: where we stand.
  const auto optimizer = MakeOptimizer(attached.Groups(), options.optimizer);
  std::optional<StepInBackward> in_backward;
  if (options.step_in_backward) in_backward.emplace(*optimizer);
  std::optional<Ema> average;
  if (options.ema_decay > 0) average.emplace(attached.masters(), options.ema_decay);
  std::optional<LossScale> loss_scale;
  if (options.loss_scaling) loss_scale.emplace();
  const TrainedState trained{attached.names(), attached.masters(), *optimizer,
                             average ? &*average : nullptr, loss_scale ? &*loss_scale : nullptr};
  TrainingState state;
  int64_t loaded_step = -1, saved_step = -1;  // of the latest checkpoint
  bool trained_out = false;                   // the masters are what makes the model
  if (const auto file = host.LatestCheckpoint()) {
    state = LoadTrainingState(*file, options.job, trained);
    attached.CopyMastersToParameters();
    loaded_step = saved_step = state.step;
  }
  const auto save_checkpoint = [&](CheckpointReason reason) {
    if (trained_out) return;
    // Where the job is to stop the host is asked again: it may have failed to write it.
    const bool may_be_lost = reason == CheckpointReason::kStop && loaded_step != state.step;
    if (saved_step == state.step && !may_be_lost) return;
    attached.CheckFinite(state.step);
    const auto contents = ContentsOf(options.job, state, trained);
    if (host.SaveCheckpoint(state.step, reason, contents)) saved_step = state.step;
  };
  const auto stop_if_asked = [&] {
    const StopReason stop = host.Stop();
    if (stop == StopReason::kDrain) save_checkpoint(CheckpointReason::kStop);
    ThrowIfStopped(stop);
  };

  // Lets what is attached change places with its average.
  const auto swap_with_average = [&] {
    if (!average) return;
    average->Swap();
    attached.CopyMastersToParameters();
  };

  // Train
  const LrScheduleOptions schedule{.decay = options.lr_decay,
                                   .warmup_steps = options.lr_warmup_steps,
                                   .total_steps = options.steps,
                                   .learning_rate = options.learning_rate,
                                   .cycles = options.lr_cycles};
  const ProgressMeter meter(Phase::kTraining, "steps", state.step, options.steps);
  Progress progress = meter.After(state.step);
  // Where we stand within a step: the figures are the last step's.
  const auto report = [&](double part) {
    Progress now = meter.After(state.step, part);
    now.loss = progress.loss;
    now.learning_rate = progress.learning_rate;
    now.grad_norm = progress.grad_norm;
    now.measured = LatestOf(state.measured);
    host.Report(now);
  };
  const auto add_measured = [&](const Measured& measured) {
    AddMeasured(state.step, measured, state.measured);
    report(0);  // known at once
  };
  const auto after_part = [&] {
    report(0);
    return host.Stop() == StopReason::kNone;
  };
  // A checkpoint is saved before its score is known: a run that goes on from there asks again,
  // unless the host left that one out and was offered another after its score.
  const auto& scores = state.best.scores();
  int64_t scored_step = scores.empty() ? 0 : scores.back().step;
  const auto score_checkpoint = [&] {
    if (!options.score || scored_step == state.step || !IsCheckpoint(state.step, options)) return;
    swap_with_average();
    const auto said = options.score(after_part);
    const bool whole = host.Stop() == StopReason::kNone;  // else it is of half the work
    if (whole && said && std::isfinite(said->score)) {
      state.best.Offer({state.step, said->score}, attached.masters());
      add_measured(said->measured);
    }
    swap_with_average();
    stop_if_asked();
    scored_step = state.step;
  };
  const auto preview_if_due = [&] {
    if (options.preview_every == 0 || state.step == 0) return;
    if (state.step % options.preview_every != 0) return;
    swap_with_average();
    const Measured measured = options.preview(state.step, after_part);
    swap_with_average();
    add_measured(measured);
  };
  if (state.measured.empty()) AddMeasured(0, options.measured_before, state.measured);
  report(0);
  preview_if_due();  // that of the checkpoint's step may have been cut short
  while (true) {
    stop_if_asked();
    score_checkpoint();
    if (state.step >= options.steps || PatienceEnds(state.best, options)) break;
    if (options.text_encoder_steps && state.step >= *options.text_encoder_steps) {
      attached.FreezeTextEncoders();
    }
    const double lr_factor = LrFactor(schedule, state.step);
    const double rate_scale = optimizer->RateScale();
    const double scale = loss_scale ? loss_scale->value() : 1;
    if (in_backward) in_backward->Begin(lr_factor);
    const double loss =
        AccumulateGradients(attached, objective, options, state.step, scale, [&](int done) {
          report(static_cast<double>(done) / options.gradient_accumulation);
          stop_if_asked();
        });
    if (loss_scale) {
      progress.grad_norm = optimizer->StepScaled(lr_factor, scale);
      loss_scale->Update(progress.grad_norm.has_value(), state.step);
    } else {
      progress.grad_norm = in_backward ? in_backward->End() : optimizer->Step(lr_factor);
    }
    attached.EndStep();
    if (average) {
      average->Update();
      attached.Constrain(average->averages());
    }
    progress.learning_rate = options.learning_rate * lr_factor * rate_scale;
    if (std::isfinite(loss)) {
      // Those before may all have been skipped.
      if (std::ranges::all_of(state.losses, [](float known) { return known == 0; })) {
        std::ranges::fill(state.losses, static_cast<float>(loss));
      }
      progress.loss = loss;
      state.losses.push_back(static_cast<float>(loss));
    } else {  // of a step that is skipped the loss before stands
      state.losses.push_back(state.losses.empty() ? 0 : state.losses.back());
    }
    ++state.step;
    report(0);
    if (IsCheckpoint(state.step, options)) {
      save_checkpoint(state.step == options.steps ? CheckpointReason::kLast
                                                  : CheckpointReason::kInterval);
    }
    preview_if_due();
  }

  save_checkpoint(CheckpointReason::kLast);  // where patience ended it

  // Judge
  trained_out = true;
  host.Report({.phase = Phase::kSaving, .total = 1, .unit = "models"});
  attached.CheckFinite(state.step);
  if (state.best.masters().empty()) {
    swap_with_average();
  } else {
    TakeBest(state.best, attached);  // of the average, where there is one
  }
  CheckLastLoss(objective, options, state.step);
  if (loss_scale) state.skipped_steps = loss_scale->skipped_steps();
  if (options.finish) options.finish(state, stop_if_asked);
}

}  // namespace likeness
