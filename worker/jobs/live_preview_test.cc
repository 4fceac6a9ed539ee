#include "worker/jobs/live_preview.h"

#include <gtest/gtest.h>

#include <random>

#include "worker/images/decode.h"

namespace likeness {
namespace {

Image Noise(int width, int height) {
  std::mt19937 random(1);
  Image image{.width = width, .height = height, .rgb = {}};
  for (int i = 0; i < 3 * width * height; ++i) {
    image.rgb.push_back(static_cast<uint8_t>(random()));
  }
  return image;
}

TEST(LivePreviewTest, ABatchStandsSideBySide) {
  const auto sample = LivePreview("a dog", 7, {Noise(8, 4), Noise(8, 4), Noise(8, 4)}, 64, 32);
  EXPECT_EQ(sample.step(), 7);
  EXPECT_EQ(sample.prompt(), "a dog");
  EXPECT_FALSE(sample.has_output());
  const Image shown = DecodePhoto(sample.preview()).image;
  EXPECT_EQ(shown.width, 3 * 64);
  EXPECT_EQ(shown.height, 32);
}

TEST(LivePreviewTest, LargePicturesAreShownSmallAndInFewBytes) {
  const std::vector<Image> batch(4, Noise(256, 128));
  const auto sample = LivePreview("a dog", 1, batch, 2048, 1024);
  EXPECT_LE(sample.preview().size(), 64 << 10);
  const Image shown = DecodePhoto(sample.preview()).image;
  EXPECT_EQ(shown.width / shown.height, 8);
}

}  // namespace
}  // namespace likeness
