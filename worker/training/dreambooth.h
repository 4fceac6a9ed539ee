// DreamBooth, Ruiz et al. 2208.12242: fine-tune a text-to-image model so that a rare token names
// one subject.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "worker/checkpoints/pipeline.h"
#include "worker/training/dreambooth_options.h"
#include "worker/training/host.h"

namespace likeness {

// Where a recipe reads and writes.
struct DreamBoothPaths {
  std::filesystem::path base_model;         // the diffusers directory that `base` was loaded from
  std::filesystem::path class_image_cache;  // shared by jobs
  std::filesystem::path output_model;       // made by the recipe; must not exist
};

struct DreamBoothResult {
  std::vector<float> losses = {};  // of every optimizer step
  std::optional<double> validation_loss_before = {};
  std::optional<double> validation_loss_after = {};
};

// Trains, and writes the personalized model to `paths.output_model`: a diffusers directory that
// shares every unchanged file with the base, and likeness_card.json. Goes on from the host's latest
// checkpoint if there is one, to the same bits. The weights of `base` are afterwards what they were
// before, also when this throws. Not thread safe on `base`. Errors: kInvalidArgument (options),
// kFailedPrecondition (loss or gradients not finite; a checkpoint of another job), kCancelled (the
// host asked to stop; when it asked to drain, a checkpoint was saved first).
DreamBoothResult TrainDreamBooth(Pipeline& base, const DreamBoothOptions& options,
                                 const DreamBoothPaths& paths, Host& host);

}  // namespace likeness
