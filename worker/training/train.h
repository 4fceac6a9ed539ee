// The one training loop, whatever is trained and for what.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/training/attached.h"
#include "worker/training/checkpoint.h"
#include "worker/training/host.h"
#include "worker/training/lr_schedule.h"
#include "worker/training/measurements.h"
#include "worker/training/objective.h"
#include "worker/training/optimizer.h"

namespace likeness {

// What LoopOptions.score says.
struct Judged {
  double score = 0;  // higher is better
  Measured measured = {};
};

struct LoopOptions {
  int64_t steps = 0;              // optimizer steps
  int gradient_accumulation = 1;  // forward passes in one of them
  double learning_rate = 0;       // as reported; the groups have their own
  OptimizerOptions optimizer;
  bool step_in_backward = false;  // step_in_backward.h
  // loss_scale.h. A step whose gradients are not finite is done, and changes nothing that is
  // trained. Not beside step_in_backward.
  bool loss_scaling = false;
  LrDecay lr_decay = LrDecay::kConstant;
  int64_t lr_warmup_steps = 0;
  int64_t lr_cycles = 1;
  double ema_decay = 0;  // of the average of what is trained; 0: none
  uint32_t seed = 0;     // of training_rng.h
  // After this many steps the text encoders are no longer trained; empty: they are to the end.
  std::optional<int64_t> text_encoder_steps = {};
  int64_t checkpoint_every = 0;  // steps; 0: only the last one, and when drained
  std::string job;               // says which run a checkpoint is part of

  Measured measured_before = {};  // before the first step

  // Called with the steps done every `preview_every` steps (0: never); returns what it measured,
  // and nothing that it measured in part. `after_part` is to be called on the way; false asks to
  // stop.
  int64_t preview_every = 0;
  std::function<Measured(int64_t step, const std::function<bool()>& after_part)> preview = {};

  // Says how good what is trained is, higher is better: asked at every checkpoint of
  // `checkpoint_every` and after the last step. The best step's weights are then what `finish`
  // sees, and not the last's. Nothing where it cannot be said, or where `after_part` said false;
  // null: never asked.
  std::function<std::optional<Judged>(const std::function<bool()>& after_part)> score = {};
  // The run ends before `steps` when this many scores in a row are no better than one before them;
  // 0: never.
  int64_t patience = 0;

  // Called once after the last step, when what was trained is found sound: to measure and write it.
  // Where there is an average, it is what is attached then, and while a preview is drawn.
  // `stop_if_asked` is to be called on the way: it throws where the host asks to stop.
  std::function<void(const TrainingState& state, const std::function<void()>& stop_if_asked)>
      finish = {};
};

// Trains what is attached until `options.steps`, or until patience ends, from the host's latest
// checkpoint if there is one, to the same bits; and once more asks for the loss, since the last
// update is followed by no step that would show what it did. Errors: kFailedPrecondition (loss or
// gradients not finite; a loss far above its scale in the end; a checkpoint of another job),
// kCancelled (the host asked to stop; when it asked to drain, a checkpoint was saved first).
void Train(Attached& attached, Objective& objective, const LoopOptions& options, Host& host);

}  // namespace likeness
