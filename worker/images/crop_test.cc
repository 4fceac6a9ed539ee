#include "worker/images/crop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "worker/base/error.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

// Red tells the column, green the row.
Image Ramp(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.rgb.insert(image.rgb.end(), {static_cast<uint8_t>(x), static_cast<uint8_t>(y), 0});
    }
  }
  return image;
}

std::string Refusal(const Image& image, const CropBox& box) {
  try {
    Crop(image, box);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  return "";
}

std::vector<int64_t> Numbers(const MicroConditioning& cut) {
  return {cut.original_height, cut.original_width, cut.crop_top,
          cut.crop_left,       cut.target_height,  cut.target_width};
}

// torchvision's Resize(64), and the corner that diffusers' scripts compute for CenterCrop(64).
TEST(CropTest, CutsAreToldAsInTheReference) {
  const auto told = [](int width, int height) {
    return Numbers(CutAndScaled(width, height, {}, 64, 64));
  };
  EXPECT_EQ(told(640, 480), (std::vector<int64_t>{480, 640, 0, 10, 64, 64})) << "85 columns, 10.5";
  EXPECT_EQ(told(480, 640), (std::vector<int64_t>{640, 480, 10, 0, 64, 64}));
  EXPECT_EQ(told(100, 64), (std::vector<int64_t>{64, 100, 0, 18, 64, 64}));
  EXPECT_EQ(told(32, 32), (std::vector<int64_t>{32, 32, 0, 0, 64, 64}));
}

TEST(CropTest, CutsToABoxAndToOtherShapesAreToldToo) {
  const CropBox box{.left = 100, .top = 50, .width = 200, .height = 100};
  EXPECT_EQ(Numbers(CutAndScaled(400, 300, box, 50, 50)),
            (std::vector<int64_t>{300, 400, 25, 50 + 25, 50, 50}));
  EXPECT_EQ(Numbers(CutAndScaled(400, 300, box, 60, 40)),
            (std::vector<int64_t>{300, 400, 20, 40 + 10, 40, 60}));
  // At the right of the mirrored picture where it was at the left.
  const CropBox left{.left = 20, .top = 50, .width = 200, .height = 100};
  EXPECT_EQ(CutAndScaled(400, 300, left, 50, 50).crop_left, 10 + 25);
  EXPECT_EQ(CutAndScaled(400, 300, left, 50, 50).mirrored_crop_left, 90 + 25);
  EXPECT_EQ(CutAndScaled(401, 300, {}, 64, 64).mirrored_crop_left,
            CutAndScaled(401, 300, {}, 64, 64).crop_left);
}

TEST(CropTest, CutsTheBox) {
  const Image cut = Crop(Ramp(100, 80), {.left = 10, .top = 20, .width = 40, .height = 32});
  EXPECT_EQ(cut.width, 40);
  EXPECT_EQ(cut.height, 32);
  EXPECT_EQ(cut.rgb[0], 10);
  EXPECT_EQ(cut.rgb[1], 20);
  EXPECT_EQ(cut.rgb[cut.rgb.size() - 3], 49);
  EXPECT_EQ(cut.rgb[cut.rgb.size() - 2], 51);
}

TEST(CropTest, WholePictureIsABox) {
  const Image image = Ramp(50, 40);
  EXPECT_EQ(Crop(image, {0, 0, 50, 40}).rgb, image.rgb);
}

TEST(CropTest, BoxesOutsideAreRefused) {
  const Image image = Ramp(100, 80);
  EXPECT_THAT(Refusal(image, {70, 0, 32, 32}), HasSubstr("100 x 80"));
  EXPECT_THAT(Refusal(image, {0, 60, 32, 32}), HasSubstr("(0, 60)"));
  EXPECT_THAT(Refusal(image, {-1, 0, 32, 32}), HasSubstr("outside"));
  EXPECT_THAT(Refusal(image, {2147483647, 0, 32, 32}), HasSubstr("outside"));
  EXPECT_THAT(Refusal(image, {0, 0, 2147483647, 2147483647}), HasSubstr("outside"));
}

TEST(CropTest, SmallBoxesAreRefused) {
  EXPECT_THAT(Refusal(Ramp(100, 80), {0, 0, 31, 40}), HasSubstr("31 x 40"));
  EXPECT_THAT(Refusal(Ramp(100, 80), {0, 0, -5, 40}), HasSubstr("at least 32"));
}

TEST(CropTest, CentreSquareOfBothFormats) {
  const Image wide = CropCentreSquare(Ramp(100, 40));
  EXPECT_EQ(wide.width, 40);
  EXPECT_EQ(wide.height, 40);
  EXPECT_EQ(wide.rgb[0], 30);
  const Image tall = CropCentreSquare(Ramp(40, 100));
  EXPECT_EQ(tall.width, 40);
  EXPECT_EQ(tall.rgb[1], 30);
}

TEST(ResizeTest, ShrinkingAveragesAreas) {
  const Image small = Resize(Ramp(64, 64), 32, 32);
  EXPECT_EQ(small.rgb[0], 1);  // the mean of 0, 1, 0, 1, rounded up
  EXPECT_EQ(small.rgb[3], 3);  // of 2, 3
}

TEST(SquarePhotoTest, CutsTheBoxThenItsSquareThenResizes) {
  const Image photo = SquarePhoto(Ramp(200, 100), CropBox{100, 0, 80, 40}, 40);
  EXPECT_EQ(photo.width, 40);
  EXPECT_EQ(photo.height, 40);
  EXPECT_EQ(photo.rgb[0], 120);
  EXPECT_EQ(SquarePhoto(Ramp(200, 100), std::nullopt, 64).rgb.size(), 3u * 64 * 64);
}

}  // namespace
}  // namespace likeness
