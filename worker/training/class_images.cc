#include "worker/training/class_images.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <optional>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/base/io/sha256.h"
#include "worker/generation/drawing_precision.h"
#include "worker/generation/text_to_image.h"
#include "worker/training/progress_meter.h"

namespace likeness {
namespace {

std::filesystem::path CacheFile(const std::filesystem::path& set, int index) {
  char name[32];
  std::snprintf(name, sizeof(name), "%05d.safetensors", index);
  return set / name;
}

// Empty if there is no such file, or not one that holds a picture of this size.
std::optional<Image> ReadCached(const std::filesystem::path& file, int64_t size) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const torch::Tensor image_HWC = SafetensorsFile::Open(file).Get("image");
    if (image_HWC.scalar_type() != torch::kUInt8 ||
        image_HWC.sizes() != torch::IntArrayRef{size, size, 3})
      return std::nullopt;
    Image image{static_cast<int>(size), static_cast<int>(size), {}};
    const auto* bytes = image_HWC.const_data_ptr<uint8_t>();
    image.rgb.assign(bytes, bytes + image_HWC.numel());
    return image;
  } catch (const Error&) {
    return std::nullopt;  // cut or corrupt: drawn again
  }
}

void WriteCached(const std::filesystem::path& file, const Image& image) {
  torch::Tensor image_HWC = torch::empty({image.height, image.width, 3}, torch::kUInt8);
  std::memcpy(image_HWC.mutable_data_ptr<uint8_t>(), image.rgb.data(), image.rgb.size());
  WriteSafetensors(file, {{"image", image_HWC}});
}

// Reports itself as part of what the meter measures.
std::vector<Image> Draw(Family& base, const ClassImageOptions& options, int first, int count,
                        const ProgressMeter& meter, Host& host) {
  TextToImageRequest request;
  request.pictures = PicturesOf(
      {.prompt = options.prompt, .seed = options.seed + static_cast<uint32_t>(first)}, count);
  request.sampler = options.sampler;
  request.steps = options.steps;
  request.guidance = options.guidance;
  request.eta = options.eta;
  request.batch_size = count;
  return GenerateImages(base, request, [&](int step, int total) {
    const double drawn = static_cast<double>(count) * step / total;
    const double done = std::min<double>(first + drawn, options.count);
    host.Report(meter.After(static_cast<int64_t>(done), done - std::floor(done)));
    return host.Stop() == StopReason::kNone;
  });
}

// All pictures of a batch, or none if one of them is missing or damaged.
std::vector<Image> ReadCachedBatch(const std::filesystem::path& set, int first, int size,
                                   int64_t side) {
  std::vector<Image> batch;
  for (int i = 0; i < size; ++i) {
    auto image = ReadCached(CacheFile(set, first + i), side);
    if (!image) return {};
    batch.push_back(std::move(*image));
  }
  return batch;
}

}  // namespace

std::string ClassImageKey(const Family& base, const ClassImageOptions& options) {
  nlohmann::json key = {{"model", base.digest()},
                        {"size", base.image_size()},
                        {"device", c10::DeviceTypeName(base.device().type(), /*lower=*/true)},
                        {"dtype", c10::toString(base.drawing_dtype())},
                        {"prompt", options.prompt},
                        {"sampler", options.sampler},
                        {"steps", options.steps},
                        {"guidance", options.guidance},
                        {"seed", options.seed},
                        {"batch_size", options.batch_size}};
  if (options.eta != 0) key["eta"] = options.eta;  // sets of versions without it stay what they are
  return Sha256OfBytes(key.dump());
}

std::filesystem::path OpenCachedSet(const std::filesystem::path& cache, const std::string& key) {
  std::filesystem::path set = cache / key;
  std::filesystem::create_directories(set);
  std::filesystem::last_write_time(set, std::filesystem::file_time_type::clock::now());
  return set;
}

std::filesystem::path OpenClassImageSet(const Family& base, const ClassImageOptions& options,
                                        const std::filesystem::path& cache) {
  return OpenCachedSet(cache, ClassImageKey(base, options));
}

std::vector<Image> ClassImages(Family& base, const ClassImageOptions& options,
                               const std::filesystem::path& cache, Host& host) {
  const std::filesystem::path set = OpenClassImageSet(base, options, cache);
  std::vector<Image> images;
  std::optional<ProgressMeter> meter;  // from the first picture that is drawn
  int64_t drawn = 0;
  const auto report = [&] {
    const auto done = static_cast<int64_t>(images.size());
    Progress progress = meter ? meter->After(done)
                              : Progress{Phase::kClassPictures, done, options.count, "pictures"};
    progress.drawn = drawn;
    host.Report(progress);
  };
  report();
  std::optional<DrawingPrecision> precision;  // once for all batches
  while (static_cast<int>(images.size()) < options.count) {
    ThrowIfStopped(host.Stop());
    // Batches always begin at multiples of the batch size and are drawn whole, also where fewer are
    // asked for: how many pictures share a batch can move a rounding, and must not depend on what
    // an earlier job left in the cache.
    const int first = static_cast<int>(images.size());
    const int size = options.batch_size;
    const int wanted = std::min(options.count - first, size);
    std::vector<Image> batch = ReadCachedBatch(set, first, size, base.image_size());
    if (batch.empty()) {
      if (!meter) meter.emplace(Phase::kClassPictures, "pictures", first, options.count);
      if (!precision) precision.emplace(base);
      batch = Draw(base, options, first, size, *meter, host);
      for (int i = 0; i < size; ++i) WriteCached(CacheFile(set, first + i), batch[i]);
      drawn += wanted;
    }
    std::move(batch.begin(), batch.begin() + wanted, std::back_inserter(images));
    report();
  }
  return images;
}

}  // namespace likeness
