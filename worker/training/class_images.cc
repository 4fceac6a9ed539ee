#include "worker/training/class_images.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/generation/text_to_image.h"
#include "worker/weights/safetensors.h"
#include "worker/weights/sha256.h"

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

std::vector<Image> Draw(Pipeline& base, const ClassImageOptions& options, int first, int count,
                        Host& host) {
  TextToImageRequest request;
  request.prompt = options.prompt;
  request.images = count;
  request.seed = options.seed + static_cast<uint32_t>(first);
  request.sampler = options.sampler;
  request.steps = options.steps;
  request.guidance = options.guidance;
  request.batch_size = count;
  return GenerateImages(base, request,
                        [&host](int, int) { return host.Stop() == StopReason::kNone; });
}

}  // namespace

std::string ClassImageKey(const std::string& model_digest, int image_size,
                          const ClassImageOptions& options) {
  const nlohmann::json key = {{"model", model_digest},        {"prompt", options.prompt},
                              {"sampler", options.sampler},   {"steps", options.steps},
                              {"guidance", options.guidance}, {"size", image_size},
                              {"seed", options.seed}};
  return Sha256OfBytes(key.dump());
}

std::vector<Image> ClassImages(Pipeline& base, const ClassImageOptions& options,
                               const std::filesystem::path& cache, Host& host) {
  const std::filesystem::path set =
      cache / ClassImageKey(base.digest, static_cast<int>(base.image_size()), options);
  std::filesystem::create_directories(set);

  std::vector<Image> images;
  int drawn = 0;
  const auto start = std::chrono::steady_clock::now();
  while (static_cast<int>(images.size()) < options.count) {
    ThrowIfStopped(host.Stop());
    const int first = static_cast<int>(images.size());
    if (auto cached = ReadCached(CacheFile(set, first), base.image_size())) {
      images.push_back(std::move(*cached));
      if (first + 1 < options.count) continue;
    } else {
      int end = first + 1;
      while (end < options.count && end - first < options.batch_size &&
             !std::filesystem::exists(CacheFile(set, end)))
        ++end;
      for (Image& image : Draw(base, options, first, end - first, host)) {
        WriteCached(CacheFile(set, static_cast<int>(images.size())), image);
        images.push_back(std::move(image));
        ++drawn;
      }
    }
    Progress progress{.phase = "class_images",
                      .done = static_cast<int64_t>(images.size()),
                      .total = options.count,
                      .unit = "images"};
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (drawn > 0 && elapsed.count() > 0) {
      progress.units_per_second = drawn / elapsed.count();
      progress.eta_seconds = (options.count - progress.done) / *progress.units_per_second;
    }
    host.Report(progress);
  }
  return images;
}

}  // namespace likeness
