#include "worker/images/encode.h"

#include <gtest/gtest.h>

#include "worker/base/error.h"
#include "worker/images/decode.h"

namespace likeness {
namespace {

Image Gradient() {
  Image image{48, 40, {}};
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 48; ++x) {
      image.rgb.insert(image.rgb.end(),
                       {static_cast<uint8_t>(5 * x), static_cast<uint8_t>(6 * y), 90});
    }
  }
  return image;
}

TEST(EncodeTest, PngComesBackUnchanged) {
  const Image decoded = DecodePhoto(EncodePng(Gradient())).image;
  EXPECT_EQ(decoded.width, 48);
  EXPECT_EQ(decoded.height, 40);
  EXPECT_EQ(decoded.rgb, Gradient().rgb);
}

TEST(EncodeTest, JpegComesBackNearly) {
  const Image image = Gradient();
  const Image decoded = DecodePhoto(EncodeJpeg(image)).image;
  ASSERT_EQ(decoded.rgb.size(), image.rgb.size());
  for (size_t i = 0; i < image.rgb.size(); ++i) EXPECT_NEAR(decoded.rgb[i], image.rgb[i], 24);
}

TEST(EncodeTest, LowerQualityMakesSmallerFiles) {
  EXPECT_LT(EncodeJpeg(Gradient(), 30).size(), EncodeJpeg(Gradient(), 95).size());
}

TEST(EncodeTest, EmptyImagesAreRefused) {
  EXPECT_THROW(EncodePng({}), Error);
  EXPECT_THROW(EncodeJpeg({}), Error);
}

}  // namespace
}  // namespace likeness
