// The pictures of prior preservation: what the frozen model itself draws for the class prompt
// (2208.12242, section 3.2), made once and kept on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/families/family.h"
#include "worker/training/host.h"

namespace likeness {

struct ClassImageOptions {
  std::string prompt;  // "a dog"
  int count = 100;
  uint32_t seed = 0;  // image i is drawn from seed + i
  std::string sampler = "ddim";
  int steps = 50;
  double guidance = 7.5;
  double eta = 0;
  int batch_size = 4;  // speed; a picture depends on it in its last rounding at most
};

// Names a set: SHA-256, in hex, over everything the pictures depend on: the model's digest, size,
// dtype and kind of device; prompt, sampler, steps, guidance, eta, seed, batch size. The count is
// left out, so a larger set begins with a smaller one.
std::string ClassImageKey(const Family& base, const ClassImageOptions& options);

// The directory of that name in `cache`, made if it is not there, and marked as used now: those
// longest unused may be removed by whoever owns the cache.
std::filesystem::path OpenCachedSet(const std::filesystem::path& cache, const std::string& key);

// The directory of the set.
std::filesystem::path OpenClassImageSet(const Family& base, const ClassImageOptions& options,
                                        const std::filesystem::path& cache);

// The first `count` pictures of the set, read from `cache`/<key>/<index>.safetensors where they lie
// there intact, drawn by `base` and written there otherwise, always a whole batch. Several workers
// may share one cache. Reports phase kClassPictures, with Progress::drawn. Throws Error(kCancelled)
// if the host stops it; pictures drawn so far stay.
std::vector<Image> ClassImages(Family& base, const ClassImageOptions& options,
                               const std::filesystem::path& cache, Host& host);

}  // namespace likeness
