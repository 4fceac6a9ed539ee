#include "worker/training/class_latents.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/training/training_data.h"

namespace likeness {
namespace {

std::filesystem::path BatchFile(const std::filesystem::path& set, size_t first, size_t size) {
  char name[64];
  std::snprintf(name, sizeof(name), "latents-%05zu-%zu.safetensors", first, size);
  return set / name;
}

// Empty if there is no such file, or not one that holds latents of this shape.
std::optional<LatentMoments> ReadBatch(const std::filesystem::path& file,
                                       torch::IntArrayRef shape_BChw) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const auto stored = SafetensorsFile::Open(file);
    const LatentMoments moments{stored.Get("mean"), stored.Get("logvar")};
    for (const auto& tensor : {moments.mean_BChw, moments.logvar_BChw}) {
      if (tensor.scalar_type() != torch::kFloat32 || tensor.sizes() != shape_BChw) {
        return std::nullopt;
      }
    }
    return moments;
  } catch (const Error&) {
    return std::nullopt;  // cut or corrupt: encoded again
  }
}

}  // namespace

LatentMoments ClassLatents(Family& base, const ClassImageOptions& options,
                           const std::filesystem::path& cache, Host& host) {
  const std::filesystem::path set = OpenClassImageSet(base, options, cache);
  const auto count = static_cast<size_t>(options.count);
  std::vector<Image> images;  // once a batch is missing
  std::vector<torch::Tensor> means, logvars;
  for (size_t first = 0; first < count; first += kEncodeBatch) {
    ThrowIfStopped(host.Stop());
    const size_t size = std::min(kEncodeBatch, count - first);
    const auto file = BatchFile(set, first, size);
    auto moments = ReadBatch(file, {static_cast<int64_t>(size), base.latent_channels(),
                                    base.latent_size(), base.latent_size()});
    if (!moments) {
      if (images.empty()) images = ClassImages(base, options, cache, host);
      moments = EncodeBatch(base, images, first, first + size);
      WriteSafetensors(file, {{"mean", moments->mean_BChw}, {"logvar", moments->logvar_BChw}});
    }
    means.push_back(moments->mean_BChw.to(base.device()));
    logvars.push_back(moments->logvar_BChw.to(base.device()));
    host.Report({.phase = Phase::kClassPictures,
                 .done = static_cast<int64_t>(first + size),
                 .total = options.count,
                 .unit = "pictures"});
  }
  return {torch::cat(means), torch::cat(logvars)};
}

}  // namespace likeness
