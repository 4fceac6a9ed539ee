// What the network's outputs mean, and the crop; the network itself is run in
// tests/e2e/faces_test.py.
#include "worker/images/face_detector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

FaceMaps Nothing(int rows, int columns) {
  const std::vector<float> zeros(static_cast<size_t>(rows) * columns, 0);
  return {.rows = rows,
          .columns = columns,
          .score = zeros,
          .height = zeros,
          .width = zeros,
          .below = zeros,
          .right = zeros};
}

TEST(FacesOf, ACellSaysWhereItsFaceLies) {
  FaceMaps maps = Nothing(4, 8);
  const size_t cell = 2 * 8 + 5;
  maps.score[cell] = .9F;
  maps.height[cell] = std::log(4.F);  // 16 pixels
  maps.width[cell] = std::log(2.F);
  maps.below[cell] = .25F;  // its middle is 1 pixel below the cell's
  const auto faces = FacesOf(maps);
  ASSERT_EQ(faces.size(), 1u);
  EXPECT_NEAR(faces[0].left + faces[0].width / 2, 5.5 * 4, 1e-5);
  EXPECT_NEAR(faces[0].top + faces[0].height / 2, 2.75 * 4, 1e-5);
  EXPECT_NEAR(faces[0].width, 8, 1e-5);
  EXPECT_NEAR(faces[0].height, 16, 1e-5);
}

TEST(FacesOf, OneFaceIsFoundOnceAndTheLikeliestIsKept) {
  FaceMaps maps = Nothing(1, 40);
  for (const auto& [column, score] : {std::pair{3, .8F}, {4, .9F}, {30, .85F}}) {
    maps.score[column] = score;
    maps.height[column] = maps.width[column] = std::log(5.F);
  }
  const auto faces = FacesOf(maps);
  ASSERT_EQ(faces.size(), 2u);
  EXPECT_FLOAT_EQ(static_cast<float>(faces[0].score), .9F);
  EXPECT_NEAR(faces[1].left + faces[1].width / 2, 30.5 * 4, 1e-5);
}

TEST(FacesOf, WhatHasNoSizeIsNoFaceAndNoNumberIsAnError) {
  FaceMaps maps = Nothing(1, 3);
  maps.score[1] = 1;
  maps.width[1] = 1e4F;  // beyond all numbers
  EXPECT_TRUE(FacesOf(maps).empty());
  for (auto values : {&FaceMaps::score, &FaceMaps::height, &FaceMaps::width, &FaceMaps::below,
                      &FaceMaps::right}) {
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      FaceMaps damaged = Nothing(1, 3);
      (damaged.*values)[2] = wrong;
      EXPECT_THROW(FacesOf(damaged), Error);
    }
  }
}

TEST(SquareAroundFace, HasRoomAroundTheFaceAndStaysInThePicture) {
  const Image photo{.width = 400, .height = 300, .rgb = {}};
  const CropBox middle =
      SquareAroundFace({.left = 180, .top = 120, .width = 40, .height = 60}, photo);
  EXPECT_EQ(middle.left, 140);
  EXPECT_EQ(middle.top, 90);
  EXPECT_EQ(middle.width, 120);
  EXPECT_EQ(middle.height, 120);
  const CropBox corner =
      SquareAroundFace({.left = 380, .top = -20, .width = 40, .height = 60}, photo);
  EXPECT_EQ(corner.left, 280);
  EXPECT_EQ(corner.top, 0);
  const CropBox large = SquareAroundFace({.left = 0, .top = 0, .width = 350, .height = 290}, photo);
  EXPECT_EQ(large.width, 300);
  const CropBox tiny = SquareAroundFace({.left = 50, .top = 50, .width = 4, .height = 5}, photo);
  EXPECT_EQ(tiny.width, kMinCropSide);
}

TEST(FaceDetector, WhatIsNoNetworkIsRefusedWithoutItsPath) {
  TempDir folder;
  const auto file = folder.path() / "model.onnx";
  std::ofstream(file) << "no network";
  for (const auto& path : {file, folder.path() / "missing.onnx"}) {
    try {
      FaceDetector detector(path);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_EQ(std::string(error.what()).find(folder.path().string()), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace likeness
