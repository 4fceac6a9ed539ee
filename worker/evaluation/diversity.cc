#include "worker/evaluation/diversity.h"

#include <cstdint>

namespace likeness {
namespace {

constexpr int64_t kMostFeatureBytes = 256 << 20;

int64_t BytesOf(const LpipsFeatures& features) {
  int64_t bytes = 0;
  for (const auto& slice : features.slices_BCHW) bytes += static_cast<int64_t>(slice.nbytes());
  return bytes;
}

}  // namespace

// The features of the first pictures are kept, as many as fit: those of all may be gigabytes.
std::vector<double> DistancesOfPairs(const std::vector<const Image*>& pictures,
                                     LpipsEvaluator& lpips, const std::function<void()>& on_pair,
                                     const std::function<void()>& on_picture) {
  std::vector<double> distances;
  std::vector<LpipsFeatures> kept;
  int64_t bytes = 0;
  const auto features_of = [&](size_t i) {
    if (i < kept.size()) return kept[i];
    auto features = lpips.Features(*pictures[i]);
    bytes += BytesOf(features);
    if (i == kept.size() && bytes <= kMostFeatureBytes) kept.push_back(features);
    return features;
  };
  for (size_t i = 0; i < pictures.size(); ++i) {
    LpipsFeatures a;
    if (i + 1 < pictures.size()) a = features_of(i);
    for (size_t j = i + 1; j < pictures.size(); ++j) {
      distances.push_back(lpips.Distance(a, features_of(j)));
      on_pair();
    }
    on_picture();
  }
  return distances;
}

}  // namespace likeness
