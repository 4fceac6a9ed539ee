#include "worker/images/buckets.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

namespace likeness {
namespace {

constexpr int kLargestStep = 64;

double LogRatio(int width, int height) { return std::log(static_cast<double>(width) / height); }

}  // namespace

std::vector<PictureSize> BucketSizes(int image_size) {
  const int step = std::clamp(image_size / 8, 1, kLargestStep);
  const int64_t pixels = int64_t{image_size} * image_size;
  const int least = image_size / 2 / step * step, most = 2 * image_size;
  std::set<std::pair<int, int>> sizes = {{image_size, image_size}};
  for (int width = least; width <= most; width += step) {
    const auto fitting = static_cast<int>(pixels / width) / step * step;
    const int height = std::min(most, fitting);
    if (height < least) continue;
    sizes.insert({{width, height}, {height, width}});
  }
  std::vector<PictureSize> list;
  for (const auto& [width, height] : sizes) list.push_back({width, height});
  return list;
}

PictureSize BestBucket(int width, int height, const std::vector<PictureSize>& sizes) {
  constexpr double kEqual = 1e-9;
  const double ratio = LogRatio(width, height);
  PictureSize best = sizes.front();
  for (const PictureSize& size : sizes) {
    const double apart = std::abs(LogRatio(size.width, size.height) - ratio);
    const double best_apart = std::abs(LogRatio(best.width, best.height) - ratio);
    const bool larger = int64_t{size.width} * size.height > int64_t{best.width} * best.height;
    if (apart < best_apart - kEqual || (apart < best_apart + kEqual && larger)) best = size;
  }
  return best;
}

}  // namespace likeness
