// Images of the class that somebody brings in place of drawn ones, as a training run needs them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "worker/families/family.h"
#include "worker/training/fine_tune_options.h"
#include "worker/training/host.h"
#include "worker/training/training_data.h"

namespace likeness {

// Names the latents of these photos, in this order: SHA-256, in hex, over the model's digest and
// size, the kind of device, and the photos' pixels.
std::string ClassPhotoKey(const Family& base, const std::vector<SubjectPhoto>& photos);

// Their latents, as EncodePictures gives them: [photos.size(),C,h,w]. Batches that lie intact in
// `cache`/<key> are read, others are encoded and written there. Reports phase kPreparing, as part
// of all of `so_far`. Throws Error(kCancelled) if the host stops it.
LatentMoments ClassPhotoLatents(Family& base, const std::vector<SubjectPhoto>& photos,
                                const std::filesystem::path& cache, Host& host,
                                EncodedSoFar& so_far);

}  // namespace likeness
