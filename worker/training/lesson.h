// What one job teaches: the subject's photos, the prior's pictures, the held-out photos,
// and all their prompts.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker/families/family.h"
#include "worker/training/fine_tune_options.h"
#include "worker/training/host.h"
#include "worker/training/training_data.h"

namespace likeness {

struct Lesson {
  std::vector<std::string> prompts;  // distinct; what the sets below number
  PictureSet subject;
  std::optional<PictureSet> prior;
  std::optional<PictureSet> validation;
  int64_t empty_prompt = -1;                 // number of "", where prompts are left out
  std::optional<int64_t> class_prompt = {};  // where the base's prediction is the prior

  // The pairs of one forward pass: the subject's half first, then the prior's.
  Batch Next(int64_t batch_number, int64_t batch_size) const;
};

// Draws the class images where they are not cached, and encodes everything with the frozen base.
Lesson PrepareLesson(Family& base, const FineTuneOptions& options,
                     const std::filesystem::path& class_image_cache, Host& host);

// Says which run a checkpoint is part of: SHA-256 over model, settings and photos.
std::string JobFingerprint(const Family& base, const FineTuneOptions& options);

}  // namespace likeness
