#include "worker/images/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "worker/base/error.h"
#include "worker/images/photo_bytes.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

using Pixel = std::array<int, 3>;

Pixel At(const Image& image, int x, int y) {
  const auto* p = &image.rgb[3 * (static_cast<size_t>(y) * image.width + x)];
  return {p[0], p[1], p[2]};
}

void ExpectNear(const Pixel& got, const Pixel& want, int tolerance) {
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(got[c], want[c], tolerance);
}

constexpr Pixel kRed{255, 0, 0};
constexpr Pixel kGreen{0, 255, 0};
constexpr Pixel kBlue{0, 0, 255};
constexpr Pixel kWhite{255, 255, 255};

// The refusal of `bytes`, or "" when they decode.
std::string Refusal(const std::string& bytes) {
  try {
    DecodePhoto(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(DecodeTest, EveryFormatKeepsColoursInPlace) {
  for (const char* extension : {".png", ".jpg", ".webp"}) {
    const Image image = DecodePhoto(FileOf(Quarters(64, 48), extension)).image;
    ASSERT_EQ(image.width, 64) << extension;
    ASSERT_EQ(image.height, 48) << extension;
    const int tolerance = std::string(extension) == ".png" ? 0 : 14;
    ExpectNear(At(image, 8, 8), kBlue, tolerance);
    ExpectNear(At(image, 56, 8), kGreen, tolerance);
    ExpectNear(At(image, 8, 40), kRed, tolerance);
    ExpectNear(At(image, 56, 40), kWhite, tolerance);
  }
}

// Where the corners blue, green / red, white of the file are to be seen in the upright picture.
struct Turn {
  int orientation;
  Pixel top_left;
  Pixel top_right;
  Pixel bottom_left;
};

class OrientationTest : public ::testing::TestWithParam<Turn> {};

TEST_P(OrientationTest, PictureIsTurnedUpright) {
  const Turn& turn = GetParam();
  const auto png = WithPngChunk(FileOf(Quarters(64, 48), ".png"),
                                PngChunk("eXIf", OrientationTiff(turn.orientation)));
  const auto jpeg =
      WithJpegExif(FileOf(Quarters(64, 48), ".jpg"), OrientationTiff(turn.orientation));
  const auto webp =
      WithWebpChunk(FileOf(Quarters(64, 48), ".webp"), "EXIF", OrientationTiff(turn.orientation));
  for (const auto& bytes : {png, jpeg, webp}) {
    const Image image = DecodePhoto(bytes).image;
    const bool on_its_side = turn.orientation >= 5;
    ASSERT_EQ(image.width, on_its_side ? 48 : 64);
    ASSERT_EQ(image.height, on_its_side ? 64 : 48);
    ExpectNear(At(image, 4, 4), turn.top_left, 14);
    ExpectNear(At(image, image.width - 5, 4), turn.top_right, 14);
    ExpectNear(At(image, 4, image.height - 5), turn.bottom_left, 14);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OrientationTest,
    ::testing::Values(Turn{1, kBlue, kGreen, kRed}, Turn{2, kGreen, kBlue, kWhite},
                      Turn{3, kWhite, kRed, kGreen}, Turn{4, kRed, kWhite, kBlue},
                      Turn{5, kBlue, kRed, kGreen}, Turn{6, kRed, kBlue, kWhite},
                      Turn{7, kWhite, kGreen, kRed}, Turn{8, kGreen, kWhite, kBlue}));

TEST(DecodeTest, AlphaIsLaidOverWhite) {
  cv::Mat4b mat(40, 40, cv::Vec4b(0, 0, 255, 255));
  mat(cv::Rect(0, 0, 20, 40)).setTo(cv::Scalar(0, 0, 255, 0));
  mat(cv::Rect(0, 0, 20, 20)).setTo(cv::Scalar(0, 0, 255, 128));
  const Image image = DecodePhoto(FileOf(mat, ".png")).image;
  EXPECT_EQ(At(image, 30, 30), kRed);
  EXPECT_EQ(At(image, 5, 30), kWhite);
  ExpectNear(At(image, 5, 5), {255, 127, 127}, 1);
}

TEST(DecodeTest, OpacityIsTurnedAsThePictureIs) {
  cv::Mat4b mat(48, 64, cv::Vec4b(0, 0, 255, 255));
  mat(cv::Rect(0, 0, 32, 48)).setTo(cv::Scalar(0, 0, 255, 40));
  const auto photo = DecodePhoto(WithPngChunk(
      FileOf(mat, ".png"), PngChunk("eXIf", OrientationTiff(6))));  // the left is above
  ASSERT_TRUE(photo.opacity.has_value());
  ASSERT_EQ(photo.opacity->width, 48);
  EXPECT_EQ(At(*photo.opacity, 24, 16), (Pixel{40, 40, 40}));
  EXPECT_EQ(At(*photo.opacity, 24, 48), (Pixel{255, 255, 255}));
  EXPECT_FALSE(DecodePhoto(FileOf(Quarters(64, 48), ".png")).opacity.has_value());
}

TEST(DecodeTest, AnAlphaChannelThatIsOpaqueAllOverIsNoOpacity) {
  cv::Mat4b mat(40, 40, cv::Vec4b(0, 0, 255, 255));
  EXPECT_FALSE(DecodePhoto(FileOf(mat, ".png")).opacity.has_value());
  EXPECT_EQ(At(DecodePhoto(FileOf(mat, ".png")).image, 5, 5), kRed);
  mat(7, 11)[3] = 254;
  EXPECT_TRUE(DecodePhoto(FileOf(mat, ".png")).opacity.has_value());
}

TEST(DecodeTest, GreyBecomesThreeEqualChannels) {
  const cv::Mat1b mat(40, 40, uint8_t{77});
  EXPECT_EQ(At(DecodePhoto(FileOf(mat, ".png")).image, 3, 3), (Pixel{77, 77, 77}));
  ExpectNear(At(DecodePhoto(FileOf(mat, ".jpg")).image, 3, 3), {77, 77, 77}, 1);
}

TEST(DecodeTest, SixteenBitsAreRoundedToEight) {
  const cv::Mat_<cv::Vec3w> colour(40, 40, cv::Vec3w(65535, 32896, 0));  // 32896 = 128 * 257
  EXPECT_EQ(At(DecodePhoto(FileOf(colour, ".png")).image, 3, 3), (Pixel{0, 128, 255}));
  const cv::Mat1w grey(40, 40, uint16_t{200 * 257});
  EXPECT_EQ(At(DecodePhoto(FileOf(grey, ".png")).image, 3, 3), (Pixel{200, 200, 200}));
}

TEST(DecodeTest, ZeroBytesAreRefused) { EXPECT_THAT(Refusal(""), HasSubstr("zero bytes")); }

TEST(DecodeTest, WhatIsNotAPictureIsRefused) {
  EXPECT_THAT(Refusal("Dear diary, today"), HasSubstr("not a JPEG, PNG or WebP"));
  EXPECT_THAT(Refusal(std::string(5000, '\0')), HasSubstr("not a JPEG, PNG or WebP"));
}

TEST(DecodeTest, FormatsThatAreNotSupportedAreNamed) {
  EXPECT_THAT(Refusal(std::string("\0\0\0\x18"
                                  "ftypheic\0\0\0\0mif1heic",
                                  24)),
              HasSubstr("HEIC"));
  EXPECT_THAT(Refusal("GIF89a and its frames"), HasSubstr("GIF"));
  EXPECT_THAT(Refusal(FileOf(Quarters(40, 40), ".bmp")), HasSubstr("BMP"));
}

TEST(DecodeTest, TruncatedFilesAreRefused) {
  cv::Mat3b noise(128, 128);
  cv::randu(noise, 0, 256);
  for (const char* extension : {".png", ".jpg", ".webp"}) {
    const auto bytes = FileOf(noise, extension);
    for (double part : {.02, .5, .99}) {
      EXPECT_NE(Refusal(bytes.substr(0, static_cast<size_t>(part * bytes.size()))), "")
          << extension << " " << part;
    }
  }
}

TEST(DecodeTest, CorruptPixelsAreRefused) {
  auto png = FileOf(Quarters(64, 64), ".png");
  for (size_t at = 45; at < 60; ++at) png[at] = static_cast<char>(~png[at]);
  EXPECT_THAT(Refusal(png), HasSubstr("is damaged"));
}

// A picture with something in every part, so that what is missing shows.
cv::Mat3b Noise() {
  cv::Mat3b noise(256, 256);
  cv::RNG random(1);
  random.fill(noise, cv::RNG::UNIFORM, 0, 256);
  cv::GaussianBlur(noise, noise, {5, 5}, 0);
  return noise;
}

const std::string kEndOfImage = "\xFF\xD9";

TEST(DecodeTest, AJpegThatWasCutAndClosedAgainIsRefused) {
  for (int progressive : {0, 1}) {
    const auto whole = FileOf(Noise(), ".jpg", {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
    ASSERT_EQ(Refusal(whole), "");
    for (double part : {.5, .9}) {
      const auto cut = whole.substr(0, static_cast<size_t>(part * whole.size())) + kEndOfImage;
      EXPECT_THAT(Refusal(cut), HasSubstr("damaged")) << progressive << " " << part;
    }
  }
}

TEST(DecodeTest, AProgressiveJpegWithoutItsLaterScansIsRefused) {
  const auto whole = FileOf(Noise(), ".jpg", {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
  const std::string scan = "\xFF\xDA";
  const size_t second = whole.find(scan, whole.find(scan) + 2);
  ASSERT_NE(second, whole.npos);
  // Up to the tables before the second scan, which nothing reads.
  EXPECT_THAT(Refusal(whole.substr(0, second) + kEndOfImage), HasSubstr("damaged"));
}

TEST(DecodeTest, AJpegWithZerosInItsMiddleIsRefused) {
  // Of so few bits a pixel that zeros, as codes, make fewer pixels than what they replace.
  auto jpeg = FileOf(Noise(), ".jpg", {cv::IMWRITE_JPEG_QUALITY, 50});
  std::fill_n(jpeg.begin() + static_cast<int64_t>(jpeg.size() / 2), jpeg.size() / 10, '\0');
  EXPECT_THAT(Refusal(jpeg), HasSubstr("damaged"));
}

TEST(DecodeTest, BytesThatBelongToNoPixelAreAWarning) {
  auto jpeg = FileOf(Noise(), ".jpg");
  jpeg.insert(jpeg.size() - 2, std::string(100, 'x'));
  const auto photo = DecodePhoto(jpeg);
  ASSERT_EQ(photo.warnings.size(), 1u);
  EXPECT_THAT(photo.warnings[0], HasSubstr("bytes that belong to no pixel"));
}

TEST(DecodeTest, WhatFollowsTheJpegIsItsOwnAffair) {
  const auto jpeg = FileOf(Noise(), ".jpg");
  const auto photo = DecodePhoto(jpeg + "a motion photo's video");
  EXPECT_TRUE(photo.warnings.empty());
  EXPECT_EQ(photo.image.rgb, DecodePhoto(jpeg).image.rgb);
}

TEST(DecodeTest, ATransparentGreyIsLaidOverWhite) {
  cv::Mat1b mat(40, 40, uint8_t{77});
  mat(cv::Rect(0, 0, 20, 40)).setTo(10);
  const auto png = WithPngChunk(FileOf(mat, ".png"), PngChunk("tRNS", std::string("\0\x0A", 2)));
  const auto image = DecodePhoto(png).image;
  EXPECT_EQ(At(image, 5, 5), kWhite);
  EXPECT_EQ(At(image, 30, 5), (Pixel{77, 77, 77}));
}

TEST(DecodeTest, DeclaredSizeIsRefusedBeforeDecoding) {
  EXPECT_THAT(Refusal(PngDeclaring(60000, 60000)), HasSubstr("60000 x 60000"));
  EXPECT_THAT(Refusal(PngDeclaring(16384, 16384)), HasSubstr("16384 x 16384"));
  EXPECT_THAT(Refusal(PngDeclaring(20000, 100)), HasSubstr("20000 x 100"));
}

TEST(DecodeTest, AnimatedPicturesAreRefused) {
  const auto png = FileOf(Quarters(64, 64), ".png");
  EXPECT_THAT(Refusal(WithPngChunk(png, PngChunk("acTL", std::string(8, '\0')))),
              HasSubstr("animated"));
  const std::string flags("\x02\0\0\0\x3F\0\0\x3F\0\0", 10);  // 64 x 64, animation
  const std::string chunk = "VP8X" + LittleEndian32(10) + flags;
  EXPECT_THAT(Refusal("RIFF" + LittleEndian32(4 + chunk.size()) + "WEBP" + chunk),
              HasSubstr("animated"));
}

TEST(DecodeTest, SmallPicturesAreRefused) {
  EXPECT_THAT(Refusal(FileOf(Quarters(200, 31), ".png")), HasSubstr("200 x 31"));
  EXPECT_EQ(Refusal(FileOf(Quarters(32, 32), ".png")), "");
}

}  // namespace
}  // namespace likeness
