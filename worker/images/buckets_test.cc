#include "worker/images/buckets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

namespace likeness {
namespace {

using Sides = std::pair<int, int>;

std::set<Sides> Sizes(int image_size) {
  std::set<Sides> sizes;
  for (const auto& size : BucketSizes(image_size)) sizes.insert({size.width, size.height});
  return sizes;
}

// What make_bucket_resolutions((512, 512), 256, 1024, 64) of kohya-ss/sd-scripts gives.
TEST(BucketsTest, AreThoseOfKohyasScripts) {
  const std::set<Sides> upright = {{256, 1024}, {320, 768}, {384, 640}, {448, 576}, {512, 512}};
  std::set<Sides> all = upright;
  for (const auto& [width, height] : upright) all.insert({height, width});
  all.insert({{256, 832},
              {832, 256},
              {256, 896},
              {896, 256},
              {256, 960},
              {960, 256},
              {320, 704},
              {704, 320}});
  EXPECT_EQ(Sizes(512), all);
}

TEST(BucketsTest, ScaleDownToTheMiniature) {
  const auto large = BucketSizes(512), small = BucketSizes(64);
  ASSERT_EQ(small.size(), large.size());
  for (size_t i = 0; i < small.size(); ++i) {
    EXPECT_EQ(small[i].width * 8, large[i].width);
    EXPECT_EQ(small[i].height * 8, large[i].height);
  }
}

TEST(BucketsTest, NoneHasMorePixelsThanTheSquare) {
  for (const int image_size : {16, 64, 512, 768, 1024}) {
    for (const auto& size : BucketSizes(image_size)) {
      EXPECT_LE(int64_t{size.width} * size.height, int64_t{image_size} * image_size);
      EXPECT_GE(std::min(size.width, size.height), image_size / 2);
    }
  }
}

TEST(BucketsTest, TheNearestAspectRatioIsTaken) {
  const auto sizes = BucketSizes(512);
  const auto best = [&](int width, int height) {
    const PictureSize size = BestBucket(width, height, sizes);
    return Sides(size.width, size.height);
  };
  EXPECT_EQ(best(3000, 3000), Sides(512, 512));
  EXPECT_EQ(best(4000, 3000), Sides(576, 448));
  EXPECT_EQ(best(3000, 4000), Sides(448, 576));
  EXPECT_EQ(best(1920, 1080), Sides(640, 384));
  EXPECT_EQ(best(10000, 100), Sides(1024, 256)) << "and is cut";
}

}  // namespace
}  // namespace likeness
