// The pictures of prior preservation as a training run needs them, encoded once for all jobs.
#pragma once

#include <filesystem>

#include "worker/families/family.h"
#include "worker/training/class_images.h"
#include "worker/training/host.h"

namespace likeness {

// The latents of ClassImages(base, options, cache, host), as EncodePictures gives them:
// [options.count,C,h,w]. Batches that lie intact in
// `cache`/<key>/latents-<first>-<size>.safetensors are read; where one is missing, the pictures are
// drawn or read and it is encoded and written there. Reports phase kClassPictures. Throws
// Error(kCancelled) if the host stops it.
LatentMoments ClassLatents(Family& base, const ClassImageOptions& options,
                           const std::filesystem::path& cache, Host& host);

}  // namespace likeness
