// Sizes of photos that keep their aspect ratios (aspect-ratio bucketing, after NovelAI's trainer).
#pragma once

#include <vector>

namespace likeness {

struct PictureSize {
  int width = 0;
  int height = 0;
};

// For a base model that learned from squares of `image_size` pixels: sizes of at most as many
// pixels, with sides from half of that to twice that, as kohya-ss/sd-scripts makes them
// (make_bucket_resolutions): for each width the largest height, and the other way round. Sides are
// multiples of 64, or of an eighth of `image_size` where that is less: 64 x 64 has 56 x 72 and
// 48 x 80 beside it, as 512 x 512 has 448 x 576 and 384 x 640.
std::vector<PictureSize> BucketSizes(int image_size);

// The size whose aspect ratio is nearest, by the logarithm, to that of a picture; of equally near
// ones the largest.
PictureSize BestBucket(int width, int height, const std::vector<PictureSize>& sizes);

}  // namespace likeness
