#include "worker/images/lettering.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <sstream>

namespace likeness {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kCapitalHeight = 21;  // pixels at scale 1
// Letters are drawn so many times larger and then reduced: strokes of 1.3 pixels, not 1 or 2.
constexpr int kOversampling = 4;

double ScaleOf(const Lettering& style) { return kOversampling * style.height / kCapitalHeight; }
int StrokeOf(const Lettering& style) {
  return static_cast<int>(std::lround(kOversampling * style.height / (style.bold ? 6.2 : 8.5)));
}

// One '?' for each character beyond ASCII, none for UTF-8's continuation bytes and for control
// characters.
std::string ToAscii(const std::string& text) {
  std::string ascii;
  for (unsigned char c : text) {
    if (c >= 0x20 && c < 0x7F) ascii += static_cast<char>(c);
    if (c >= 0xC0) ascii += '?';
  }
  return ascii;
}

std::string CutTo(std::string text, int width, const Lettering& style) {
  if (TextWidth(text, style) <= width) return text;
  while (!text.empty() && TextWidth(text + "...", style) > width) text.pop_back();
  return text + "...";
}

}  // namespace

int TextWidth(const std::string& text, const Lettering& style) {
  int baseline = 0;
  const auto size =
      cv::getTextSize(ToAscii(text), kFont, ScaleOf(style), StrokeOf(style), &baseline);
  return (size.width + kOversampling - 1) / kOversampling;
}

void Write(cv::Mat3b& sheet, const std::string& text, int left, int baseline,
           const Lettering& style) {
  const int above = static_cast<int>(2 * style.height), below = static_cast<int>(style.height);
  const cv::Rect box = cv::Rect(left, baseline - above, TextWidth(text, style) + 2, above + below) &
                       cv::Rect(0, 0, sheet.cols, sheet.rows);
  if (box.empty()) return;
  cv::Mat1b large = cv::Mat1b::zeros(box.size() * kOversampling);
  cv::putText(large, ToAscii(text), (cv::Point(left, baseline) - box.tl()) * kOversampling, kFont,
              ScaleOf(style), 255, StrokeOf(style), cv::LINE_AA);
  cv::Mat1b coverage;
  cv::resize(large, coverage, box.size(), 0, 0, cv::INTER_AREA);
  cv::Mat3b area = sheet(box);
  area.forEach([&](cv::Vec3b& pixel, const int* at) {
    const double ink = coverage(at[0], at[1]) / 255.0;
    for (int c = 0; c < 3; ++c) {
      pixel[c] = cv::saturate_cast<uchar>(pixel[c] * (1 - ink) + style.colour[c] * ink);
    }
  });
}

std::vector<std::string> WrapText(const std::string& text, int width, int max_lines,
                                  const Lettering& style) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.empty() && TextWidth(lines.back() + " " + word, style) <= width) {
      lines.back() += " " + word;
    } else if (static_cast<int>(lines.size()) == max_lines) {
      lines.back() = CutTo(lines.back() + " " + word, width, style);
      break;
    } else {
      lines.push_back(CutTo(word, width, style));
    }
  }
  return lines;
}

}  // namespace likeness
