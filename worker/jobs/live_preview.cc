#include "worker/jobs/live_preview.h"

#include <algorithm>

#include "worker/images/crop.h"
#include "worker/images/encode.h"
#include "worker/jobs/pictures.h"

namespace likeness {
namespace {

constexpr int kLargestSide = 256;
constexpr int kQuality = 85;

// Pictures of one size, from left to right.
Image SideBySide(const std::vector<Image>& images) {
  const size_t row = 3 * static_cast<size_t>(images.front().width);
  Image all{.width = images.front().width * static_cast<int>(images.size()),
            .height = images.front().height,
            .rgb = {}};
  for (int y = 0; y < all.height; ++y) {
    for (const Image& image : images) {
      const auto begin = image.rgb.begin() + static_cast<std::ptrdiff_t>(row * y);
      all.rgb.insert(all.rgb.end(), begin, begin + static_cast<std::ptrdiff_t>(row));
    }
  }
  return all;
}

}  // namespace

v1::SampleEvent LivePreview(const std::string& prompt, int64_t step,
                            const std::vector<Image>& rough, int width, int height) {
  const double scale = std::min(1.0, static_cast<double>(kLargestSide) / std::max(width, height));
  std::vector<Image> enlarged;
  for (const Image& image : rough) {
    enlarged.push_back(Resize(image, std::max(1, static_cast<int>(width * scale)),
                              std::max(1, static_cast<int>(height * scale))));
  }
  const Image all = SideBySide(enlarged);
  v1::SampleEvent sample;
  sample.set_step(step);
  sample.set_prompt(prompt);
  sample.set_preview(Thumbnail(all, EncodeJpeg(all, kQuality)));
  return sample;
}

}  // namespace likeness
