// A model is taught a subject, by one of the methods, and written.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "worker/families/family.h"
#include "worker/training/best_step.h"
#include "worker/training/fine_tune_options.h"
#include "worker/training/host.h"
#include "worker/training/measurements.h"

namespace likeness {

// Where fine-tuning reads and writes.
struct FineTunePaths {
  std::filesystem::path base_model;         // the diffusers directory that `base` was loaded from
  std::filesystem::path class_image_cache;  // shared by jobs
  std::filesystem::path output_model;       // made here; must not exist
  std::filesystem::path initial_adapter = {};  // its directory; empty: the method's own beginning
};

struct FineTuneResult {
  std::vector<float> losses = {};             // of every optimizer step
  std::vector<ScoredStep> scores = {};        // of the checkpoints that were judged
  std::vector<MeasuredStep> measured = {};    // in order, from before the first step to the last
  std::optional<int64_t> best_step = {};      // whose weights the model has, where one was chosen
  std::optional<int64_t> skipped_steps = {};  // TrainingState's
  std::optional<double> validation_loss_before = {};
  std::optional<double> validation_loss_after = {};
};

// Trains, and writes the personalized model with likeness_card.json to `paths.output_model`. Goes
// on from the host's latest checkpoint if there is one, to the same bits. The weights of `base` are
// afterwards what they were before, also when this throws. Not thread safe on `base`. Errors:
// kInvalidArgument (options), kFailedPrecondition (loss or gradients not finite; a checkpoint of
// another job), kCancelled (the host asked to stop; when it asked to drain, a checkpoint was saved
// first). The class photos are let go of once they are encoded.
FineTuneResult FineTuneModel(Family& base, FineTuneOptions options, const FineTunePaths& paths,
                             Host& host);

}  // namespace likeness
