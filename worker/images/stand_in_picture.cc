#include "worker/images/stand_in_picture.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "worker/images/lettering.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

constexpr float kSmallestLetters = 5, kLargestLetters = 28;  // pixels; smaller cannot be read
constexpr int kMostLines = 12;

// Light enough for dark letters.
cv::Vec3b ColourOf(const std::string& prompt, uint32_t seed) {
  const std::string digest = Sha256Hex(absl::StrCat(seed, " ", prompt));
  const auto channel = [&](size_t at) {
    return static_cast<uchar>(144 + std::stoi(digest.substr(at, 2), nullptr, 16) * 96 / 255);
  };
  return {channel(0), channel(2), channel(4)};
}

}  // namespace

Image DrawStandIn(const std::string& prompt, uint32_t seed, int width, int height) {
  cv::Mat3b sheet(height, width, ColourOf(prompt, seed));
  const float letters = std::clamp(static_cast<float>(std::min(width, height)) / 14.0F,
                                   kSmallestLetters, kLargestLetters);
  const int margin = static_cast<int>(letters / 2) + 1;
  const int line = static_cast<int>(letters * 1.8F);
  int baseline = margin + line;
  const auto write = [&](const std::string& text, int lines, bool bold) {
    const Lettering style{.height = letters, .bold = bold};
    for (const auto& part : WrapText(text, width - 2 * margin, lines, style)) {
      Write(sheet, part, margin, baseline, style);
      baseline += line;
    }
  };
  write("REHEARSAL", 1, true);
  write(absl::StrCat("seed ", seed), 1, false);
  write(prompt, kMostLines, false);
  return ToImage(sheet);
}

}  // namespace likeness
