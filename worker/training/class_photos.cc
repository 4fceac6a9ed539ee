#include "worker/training/class_photos.h"

#include <algorithm>
#include <optional>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/sha256.h"
#include "worker/training/class_images.h"
#include "worker/training/class_latents.h"

namespace likeness {
namespace {

LatentMoments EncodePhotoBatch(Family& base, const std::vector<SubjectPhoto>& photos, size_t begin,
                               size_t end) {
  std::vector<Image> images;
  for (size_t i = begin; i < end; ++i) images.push_back(photos[i].image);
  return EncodeBatch(base, images, 0, images.size());
}

}  // namespace

std::string ClassPhotoKey(const Family& base, const std::vector<SubjectPhoto>& photos) {
  nlohmann::json key = {{"model", base.digest()},
                        {"size", base.image_size()},
                        {"device", c10::DeviceTypeName(base.device().type(), /*lower=*/true)}};
  for (const SubjectPhoto& photo : photos) {
    const auto& rgb = photo.image.rgb;
    key["photos"].push_back(Sha256OfBytes({reinterpret_cast<const char*>(rgb.data()), rgb.size()}));
  }
  return Sha256OfBytes(key.dump());
}

LatentMoments ClassPhotoLatents(Family& base, const std::vector<SubjectPhoto>& photos,
                                const std::filesystem::path& cache, Host& host,
                                EncodedSoFar& so_far) {
  const std::filesystem::path set = OpenCachedSet(cache, ClassPhotoKey(base, photos));
  std::vector<torch::Tensor> means, logvars;
  for (size_t first = 0; first < photos.size(); first += kEncodeBatch) {
    ThrowIfStopped(host.Stop());
    const size_t size = std::min(kEncodeBatch, photos.size() - first);
    const LatentBatch batch(set, first, size);
    std::optional<LatentMoments> moments = batch.Read(base);
    if (!moments) {
      moments = EncodePhotoBatch(base, photos, first, first + size);
      batch.Write(*moments);
    }
    means.push_back(moments->mean_BChw.to(base.device()));
    logvars.push_back(moments->logvar_BChw.to(base.device()));
    so_far.done += static_cast<int64_t>(size);
    host.Report({.phase = Phase::kPreparing,
                 .done = so_far.done,
                 .total = so_far.total,
                 .unit = "pictures"});
  }
  return {torch::cat(means), torch::cat(logvars)};
}

}  // namespace likeness
