#include "worker/training/class_latents.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/training/progress_meter.h"
#include "worker/training/training_data.h"

namespace likeness {
namespace {

// Empty if there is no such file, or not one that holds latents of this shape.
std::optional<LatentMoments> ReadLatents(const std::filesystem::path& file,
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

LatentBatch::LatentBatch(const std::filesystem::path& set, size_t first, size_t size)
    : size_(static_cast<int64_t>(size)) {
  char name[64];
  std::snprintf(name, sizeof(name), "latents-%05zu-%zu.safetensors", first, size);
  file_ = set / name;
}

std::optional<LatentMoments> LatentBatch::Read(const Family& base) const {
  return ReadLatents(file_,
                     {size_, base.latent_channels(), base.latent_size(), base.latent_size()});
}

void LatentBatch::Write(const LatentMoments& moments) const {
  WriteSafetensors(file_, {{"mean", moments.mean_BChw}, {"logvar", moments.logvar_BChw}});
}

LatentMoments ClassLatents(Family& base, const ClassImageOptions& options,
                           const std::filesystem::path& cache, Host& host) {
  const std::filesystem::path set = OpenClassImageSet(base, options, cache);
  const auto count = static_cast<size_t>(options.count);
  std::vector<std::optional<LatentMoments>> batches;
  int64_t missing = 0;
  for (size_t first = 0; first < count; first += kEncodeBatch) {
    ThrowIfStopped(host.Stop());
    const size_t size = std::min(kEncodeBatch, count - first);
    batches.push_back(LatentBatch(set, first, size).Read(base));
    if (!batches.back()) missing += static_cast<int64_t>(size);
  }
  std::vector<Image> images;
  if (missing > 0) images = ClassImages(base, options, cache, host);
  // All pictures are there: from here on the remaining time alone moves.
  Progress progress{Phase::kClassPictures, options.count, options.count, "pictures"};
  host.Report(progress);
  const ProgressMeter encoding(Phase::kClassPictures, "pictures", 0, missing);
  int64_t encoded = 0;
  std::vector<torch::Tensor> means, logvars;
  for (size_t first = 0; first < count; first += kEncodeBatch) {
    auto& moments = batches[first / kEncodeBatch];
    if (!moments) {
      ThrowIfStopped(host.Stop());
      const size_t size = std::min(kEncodeBatch, count - first);
      moments = EncodeBatch(base, images, first, first + size);
      LatentBatch(set, first, size).Write(*moments);
      encoded += static_cast<int64_t>(size);
      progress.eta_seconds = encoding.After(encoded).eta_seconds;
      host.Report(progress);
    }
    means.push_back(moments->mean_BChw.to(base.device()));
    logvars.push_back(moments->logvar_BChw.to(base.device()));
  }
  return {torch::cat(means), torch::cat(logvars)};
}

}  // namespace likeness
