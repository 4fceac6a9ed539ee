#include "worker/images/colour.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lcms2.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "worker/images/decode.h"
#include "worker/images/photo_bytes.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A colour space by its primaries (CIE xy), white D65.
struct Space {
  const char* name;
  std::array<std::array<double, 2>, 3> primaries;
  double gamma;  // 0: sRGB's curve
};
const Space kSrgb{"sRGB", {{{.64, .33}, {.30, .60}, {.15, .06}}}, 0};
const Space kDisplayP3{"Display P3", {{{.680, .320}, {.265, .690}, {.150, .060}}}, 0};
const Space kAdobeRgb{"Adobe RGB (1998)", {{{.64, .33}, {.21, .71}, {.15, .06}}}, 563. / 256};

// An ICC profile as phones and cameras embed it.
std::string ProfileOf(const Space& space) {
  const cmsCIExyY white{.3127, .3290, 1};
  const auto& p = space.primaries;
  const cmsCIExyYTRIPLE primaries{
      {p[0][0], p[0][1], 1}, {p[1][0], p[1][1], 1}, {p[2][0], p[2][1], 1}};
  const double srgb[] = {2.4, 1 / 1.055, .055 / 1.055, 1 / 12.92, .04045};
  cmsToneCurve* curve = space.gamma > 0 ? cmsBuildGamma(nullptr, space.gamma)
                                        : cmsBuildParametricToneCurve(nullptr, 4, srgb);
  cmsToneCurve* const curves[] = {curve, curve, curve};
  cmsHPROFILE profile = cmsCreateRGBProfile(&white, &primaries, curves);
  cmsMLU* text = cmsMLUalloc(nullptr, 1);
  cmsMLUsetASCII(text, "en", "US", space.name);
  cmsWriteTag(profile, cmsSigProfileDescriptionTag, text);
  cmsUInt32Number size = 0;
  cmsSaveProfileToMem(profile, nullptr, &size);
  std::string bytes(size, '\0');
  cmsSaveProfileToMem(profile, bytes.data(), &size);
  cmsMLUfree(text);
  cmsFreeToneCurve(curve);
  cmsCloseProfile(profile);
  return bytes;
}

// --- The same conversion by the definition (IEC 61966-2-1, SMPTE EG 432-1), without lcms2.
double ToLight(double value, double gamma) {
  if (gamma > 0) return std::pow(value, gamma);
  return value <= .04045 ? value / 12.92 : std::pow((value + .055) / 1.055, 2.4);
}

double FromLight(double light) {
  light = std::clamp(light, 0., 1.);
  return light <= .0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - .055;
}

cv::Matx33d ToXyz(const Space& space) {
  cv::Matx33d columns;
  for (int i = 0; i < 3; ++i) {
    const auto [x, y] = space.primaries[i];
    columns(0, i) = x / y;
    columns(1, i) = 1;
    columns(2, i) = (1 - x - y) / y;
  }
  const cv::Vec3d white(.3127 / .3290, 1, (1 - .3127 - .3290) / .3290);
  const cv::Vec3d scale = columns.inv() * white;
  return columns * cv::Matx33d::diag(scale);
}

cv::Vec3d SrgbOf(const cv::Vec3b& rgb, const Space& space) {
  cv::Vec3d light;
  for (int c = 0; c < 3; ++c) light[c] = ToLight(rgb[c] / 255., space.gamma);
  const cv::Vec3d linear = ToXyz(kSrgb).inv() * (ToXyz(space) * light);
  cv::Vec3d result;
  for (int c = 0; c < 3; ++c) result[c] = 255 * FromLight(linear[c]);
  return result;
}

// Every combination of six levels.
cv::Mat3b ColourChart() {
  cv::Mat3b chart(36, 36);
  for (int i = 0; i < 216; ++i) {
    const cv::Scalar colour(51 * (i % 6), 51 * (i / 6 % 6), 51 * (i / 36));
    chart(cv::Rect(6 * (i % 6), i / 6, 6, 1)).setTo(colour);
  }
  return chart;
}

DecodedFile FileWith(const cv::Mat& colours, const std::string& profile) {
  DecodedFile file;
  file.colours = colours;
  file.colour_profile = profile;
  return file;
}

TEST(ColourTest, PhonesAndCamerasColoursComeWithinTwoLevelsOfTheDefinition) {
  const cv::Mat3b chart = ColourChart();
  for (const Space& space : {kDisplayP3, kAdobeRgb}) {
    const auto converted = ToSrgb(FileWith(chart, ProfileOf(space)));
    EXPECT_EQ(converted.converted_from, space.name);
    double worst = 0, moved = 0;
    for (int y = 0; y < chart.rows; ++y) {
      for (int x = 0; x < chart.cols; ++x) {
        const cv::Vec3d want = SrgbOf(chart(y, x), space);
        for (int c = 0; c < 3; ++c) {
          worst = std::max(worst, std::abs(want[c] - converted.rgb(y, x)[c]));
          moved = std::max(moved, std::abs(want[c] - chart(y, x)[c]));
        }
      }
    }
    EXPECT_LE(worst, 2) << space.name;
    EXPECT_GT(moved, 20) << "a chart that could not tell";
  }
}

TEST(ColourTest, SixteenBitsGiveTheSameColours) {
  const cv::Mat3b chart = ColourChart();
  cv::Mat wide;
  chart.convertTo(wide, CV_16U, 257);
  const auto profile = ProfileOf(kDisplayP3);
  EXPECT_EQ(cv::norm(ToSrgb(FileWith(wide, profile)).rgb, ToSrgb(FileWith(chart, profile)).rgb,
                     cv::NORM_INF),
            0);
}

TEST(ColourTest, SrgbsOwnProfileChangesNothing) {
  const cv::Mat3b chart = ColourChart();
  const auto converted = ToSrgb(FileWith(chart, ProfileOf(kSrgb)));
  EXPECT_EQ(converted.converted_from, "");
  EXPECT_EQ(cv::norm(converted.rgb, chart, cv::NORM_INF), 0);
}

TEST(ColourTest, AProfileThatCannotBeUsedIsIgnored) {
  const cv::Mat3b chart = ColourChart();
  auto profile = ProfileOf(kDisplayP3);
  for (const auto& unusable : {std::string("not a profile"), profile.substr(0, 200)}) {
    const auto converted = ToSrgb(FileWith(chart, unusable));
    EXPECT_TRUE(converted.profile_unusable);
    EXPECT_EQ(cv::norm(converted.rgb, chart, cv::NORM_INF), 0);
  }
  const cv::Mat4b inks(40, 40, cv::Vec4b(0, 0, 0, 0));
  EXPECT_TRUE(ToSrgb(FileWith(inks, profile)).profile_unusable) << "of other colours";
}

TEST(ColourTest, GreyPicturesMayKeepTheProfileOfColours) {
  const cv::Mat1b grey(40, 40, uint8_t{128});
  const auto converted = ToSrgb(FileWith(grey, ProfileOf(kAdobeRgb)));
  EXPECT_EQ(converted.converted_from, kAdobeRgb.name);
  const double want = 255 * FromLight(ToLight(128 / 255., kAdobeRgb.gamma));
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(converted.rgb(3, 3)[c], want, 1);
}

TEST(ColourTest, InksWithoutAProfileAreTakenByThePlainFormula) {
  const cv::Mat4b inks(40, 40, cv::Vec4b(255, 0, 51, 0));
  EXPECT_EQ(ToSrgb(FileWith(inks, "")).rgb(3, 3), cv::Vec3b(0, 255, 204));
}

// --- Through whole files.
std::string PngWith(const cv::Mat& bgr, const std::string& profile) {
  uLongf size = compressBound(profile.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(profile.data()), profile.size());
  packed.resize(size);
  return WithPngChunk(FileOf(bgr, ".png"), PngChunk("iCCP", std::string("icc\0\0", 5) + packed));
}

std::string JpegWith(const cv::Mat& bgr, const std::string& profile) {
  return WithJpegSegment(FileOf(bgr, ".jpg", {cv::IMWRITE_JPEG_QUALITY, 100}), '\xE2',
                         std::string("ICC_PROFILE\0\1\1", 14) + profile);
}

std::string WebpWith(const cv::Mat& bgr, const std::string& profile) {
  return WithWebpChunk(FileOf(bgr, ".webp", {cv::IMWRITE_WEBP_QUALITY, 101}), "ICCP", profile);
}

TEST(ColourTest, TheProfileIsFoundInEveryFormat) {
  const cv::Mat3b bgr(64, 64, cv::Vec3b(40, 90, 220));
  const cv::Vec3d want = SrgbOf({220, 90, 40}, kDisplayP3);
  const auto profile = ProfileOf(kDisplayP3);
  for (const auto& file : {PngWith(bgr, profile), JpegWith(bgr, profile), WebpWith(bgr, profile)}) {
    const auto photo = DecodePhoto(file);
    EXPECT_EQ(photo.converted_from, kDisplayP3.name) << file.substr(0, 4);
    EXPECT_TRUE(photo.warnings.empty());
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(photo.image.rgb[c], want[c], 3) << file.substr(0, 4);
  }
}

TEST(ColourTest, ADamagedProfileIsAWarningInEveryFormat) {
  const cv::Mat3b bgr(64, 64, cv::Vec3b(40, 90, 220));
  for (const auto& file : {PngWith(bgr, "x"), JpegWith(bgr, "x"), WebpWith(bgr, "x")}) {
    const auto photo = DecodePhoto(file);
    EXPECT_EQ(photo.converted_from, "");
    EXPECT_THAT(photo.warnings, ElementsAre(HasSubstr("taken as sRGB"))) << file.substr(0, 4);
    EXPECT_NEAR(photo.image.rgb[0], 220, 3);
  }
}

}  // namespace
}  // namespace likeness
