#include "worker/images/colour.h"

#include <lcms2.h>

#include <algorithm>
#include <memory>
#include <opencv2/imgproc.hpp>
#include <type_traits>

#include "common/logging.h"

namespace likeness {
namespace {

template <auto Close>
struct Closer {
  template <typename Handle>
  void operator()(Handle* handle) const {
    Close(handle);
  }
};
using Context = std::unique_ptr<std::remove_pointer_t<cmsContext>, Closer<cmsDeleteContext>>;
using Profile = std::unique_ptr<void, Closer<cmsCloseProfile>>;
using Transform = std::unique_ptr<void, Closer<cmsDeleteTransform>>;

Context NewContext() {
  Context context(cmsCreateContext(nullptr, nullptr));
  cmsSetLogErrorHandlerTHR(context.get(), [](cmsContext, cmsUInt32Number, const char* line) {
    LogWarning("decoder", {{"library", "lcms2"}, {"line", line}});
  });
  return context;
}

cv::Mat3b WithoutProfile(const cv::Mat& colours) {
  const cv::Mat pixels = ToEightBits(colours);
  cv::Mat3b rgb;
  switch (pixels.channels()) {
    case 1:
      cv::cvtColor(pixels, rgb, cv::COLOR_GRAY2RGB);
      return rgb;
    case 4: {
      rgb.create(pixels.size());
      const cv::Mat4b inks = pixels;
      std::transform(inks.begin(), inks.end(), rgb.begin(), [](const cv::Vec4b& cmyk) {
        const auto light = [&](int ink) {
          return static_cast<uint8_t>(((255 - cmyk[ink]) * (255 - cmyk[3]) + 127) / 255);
        };
        return cv::Vec3b(light(0), light(1), light(2));
      });
      return rgb;
    }
    default:
      return pixels;
  }
}

// How lcms2 calls 8-bit pixels of so many channels; 0 if the profile is of another kind of colours.
cmsUInt32Number PixelType(cmsColorSpaceSignature space, int channels) {
  if (space == cmsSigGrayData && channels == 1) return TYPE_GRAY_8;
  if (space == cmsSigRgbData && channels == 3) return TYPE_RGB_8;
  if (space == cmsSigCmykData && channels == 4) return TYPE_CMYK_8;  // 0: no ink
  return 0;
}

// Printable ASCII: it is shown to people, and is anybody's.
std::string Description(cmsHPROFILE profile) {
  char text[64] = "";
  cmsGetProfileInfoASCII(profile, cmsInfoDescription, "en", "US", text, sizeof(text));
  text[sizeof(text) - 1] = '\0';
  std::string description = text;
  std::replace_if(
      description.begin(), description.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return description.empty() ? "an unnamed profile" : description;
}

void Apply(cmsHTRANSFORM transform, const cv::Mat& from, cv::Mat3b& to) {
  to.create(from.size());
  cmsDoTransformLineStride(transform, from.data, to.data, from.cols, from.rows,
                           static_cast<cmsUInt32Number>(from.step),
                           static_cast<cmsUInt32Number>(to.step), 0, 0);
}

// Whether a transform of 8-bit grey or R G B changes any colour by more than one level.
bool IsIdentity(cmsHTRANSFORM transform, int channels) {
  constexpr int kLevels = 16;  // 0, 17, ..., 255
  cv::Mat colours(1, channels == 1 ? kLevels : kLevels * kLevels * kLevels, CV_8UC(channels));
  for (int i = 0; i < colours.cols; ++i) {
    for (int c = 0, rest = i; c < channels; ++c, rest /= kLevels) {
      colours.ptr(0)[i * channels + c] = static_cast<uint8_t>(17 * (rest % kLevels));
    }
  }
  cv::Mat3b converted;
  Apply(transform, colours, converted);
  return cv::norm(WithoutProfile(colours), converted, cv::NORM_INF) <= 1;
}

}  // namespace

cv::Mat ToEightBits(const cv::Mat& pixels) {
  if (pixels.depth() == CV_8U) return pixels;
  cv::Mat narrow;
  pixels.convertTo(narrow, CV_8U, 1 / 257.0);
  return narrow;
}

SrgbPixels ToSrgb(const DecodedFile& file) {
  SrgbPixels result;
  if (file.colour_profile.empty()) {
    result.rgb = WithoutProfile(file.colours);
    return result;
  }
  const Context context = NewContext();
  const Profile profile(
      cmsOpenProfileFromMemTHR(context.get(), file.colour_profile.data(),
                               static_cast<cmsUInt32Number>(file.colour_profile.size())));
  const auto space = profile ? cmsGetColorSpace(profile.get()) : cmsColorSpaceSignature{};
  // Rounded first: of 16 bits lcms2 makes a coarse table, which is off by up to six levels.
  cv::Mat colours = ToEightBits(file.colours);
  // Grey pictures often keep the profile of the R G B ones that they were.
  if (colours.channels() == 1 && space == cmsSigRgbData) {
    cv::cvtColor(colours, colours, cv::COLOR_GRAY2RGB);
  }
  const int channels = colours.channels();
  const cmsUInt32Number type = PixelType(space, channels);
  const Profile srgb(cmsCreate_sRGBProfileTHR(context.get()));
  const Transform transform(
      profile && type != 0 ? cmsCreateTransformTHR(context.get(), profile.get(), type, srgb.get(),
                                                   TYPE_RGB_8, INTENT_PERCEPTUAL, cmsFLAGS_NOCACHE)
                           : nullptr);
  result.profile_unusable = !transform;
  if (!transform || (channels != 4 && IsIdentity(transform.get(), channels))) {
    result.rgb = WithoutProfile(file.colours);
    return result;
  }
  Apply(transform.get(), colours, result.rgb);
  result.converted_from = Description(profile.get());
  return result;
}

}  // namespace likeness
