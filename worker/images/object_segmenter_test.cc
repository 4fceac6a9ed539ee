// What the network's output means, and the crop; the network itself is run in
// tests/e2e/objects_test.py.
#include "worker/images/object_segmenter.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

Image Black(int width, int height) {
  return {.width = width,
          .height = height,
          .rgb = std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
}

TEST(MaskOf, ProbabilitiesAreSpreadOverAllGreysInThePicturesSize) {
  const std::vector<float> found = {.1F, .1F, .9F, .1F, .1F, .5F};
  const auto mask = MaskOf(found.data(), 2, 3, Black(3, 2));
  ASSERT_TRUE(mask);
  EXPECT_EQ(mask->rgb, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 255, 255, 255,  //
                                             0, 0, 0, 0, 0, 0, 128, 128, 128}));
  const auto large = MaskOf(found.data(), 2, 3, Black(30, 20));
  EXPECT_EQ(large->width, 30);
  EXPECT_EQ(large->height, 20);
  EXPECT_EQ(large->rgb.at(3 * 29), 255);
}

TEST(MaskOf, WhereNothingIsProbableThereIsNoneAndNoNumberIsAnError) {
  const std::vector<float> faint = {.1F, .1F, .45F, .1F};
  EXPECT_FALSE(MaskOf(faint.data(), 2, 2, Black(2, 2)));
  const std::vector<float> wrong = {.1F, std::numeric_limits<float>::quiet_NaN(), .9F, .1F};
  EXPECT_THROW(MaskOf(wrong.data(), 2, 2, Black(2, 2)), Error);
}

TEST(MaskOf, WhatFillsThePictureIsWhiteAllOver) {
  const std::vector<float> full(4, 1.0F);
  const auto mask = MaskOf(full.data(), 2, 2, Black(2, 2));
  ASSERT_TRUE(mask);
  EXPECT_EQ(mask->rgb, std::vector<uint8_t>(12, 255));
}

TEST(SquareAroundObject, HasATenthBesidesAndStaysInThePicture) {
  const auto white = [](Image mask, int left, int top, int right, int bottom) {
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) {
        for (int c = 0; c < 3; ++c) mask.rgb[(size_t{1} * y * mask.width + x) * 3 + c] = 200;
      }
    }
    return mask;
  };
  const CropBox middle = SquareAroundObject(white(Black(400, 300), 150, 100, 250, 140));
  EXPECT_EQ(middle.width, 110);
  EXPECT_EQ(middle.height, 110);
  EXPECT_EQ(middle.left, 145);
  EXPECT_EQ(middle.top, 65);
  const CropBox corner = SquareAroundObject(white(Black(400, 300), 300, 0, 400, 100));
  EXPECT_EQ(corner.left, 290);
  EXPECT_EQ(corner.top, 0);
  EXPECT_EQ(SquareAroundObject(white(Black(400, 300), 0, 100, 400, 200)).width, 300);
}

TEST(ObjectSegmenter, WhatIsNoNetworkIsRefusedWithoutItsPath) {
  TempDir folder;
  const auto file = folder.path() / "model.onnx";
  std::ofstream(file) << "no network";
  for (const auto& path : {file, folder.path() / "missing.onnx"}) {
    try {
      ObjectSegmenter segmenter(SegmenterOptions::Of("u2net"), path);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_EQ(std::string(error.what()).find(folder.path().string()), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace likeness
