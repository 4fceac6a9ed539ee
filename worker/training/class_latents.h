// The pictures of prior preservation as a training run needs them, encoded once for all jobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "worker/families/family.h"
#include "worker/training/class_images.h"
#include "worker/training/host.h"

namespace likeness {

// The file of a cached set in which the latents of pictures `first` to `first` + `size` lie, which
// were encoded together.
class LatentBatch {
 public:
  LatentBatch(const std::filesystem::path& set, size_t first, size_t size);

  // Float32 [size,C,h,w] on the CPU; empty if there is no such file, or not one that holds latents
  // of the model's own size.
  std::optional<LatentMoments> Read(const Family& base) const;
  void Write(const LatentMoments& moments) const;

 private:
  int64_t size_;
  std::filesystem::path file_;
};

// The latents of ClassImages(base, options, cache, host), as EncodePictures gives them:
// [options.count,C,h,w]. Batches that lie intact in
// `cache`/<key>/latents-<first>-<size>.safetensors are read; where one is missing, the pictures are
// drawn or read and it is encoded and written there. Reports phase kClassPictures. Throws
// Error(kCancelled) if the host stops it.
LatentMoments ClassLatents(Family& base, const ClassImageOptions& options,
                           const std::filesystem::path& cache, Host& host);

}  // namespace likeness
