#include "worker/images/lettering.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <sstream>

namespace likeness {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kCapitalHeight = 21;  // pixels at scale 1

double ScaleOf(const Lettering& style) { return style.height / kCapitalHeight; }
int StrokeOf(const Lettering& style) {
  return std::max(1, static_cast<int>(std::lround(style.height / (style.bold ? 6.5 : 12))));
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
  return cv::getTextSize(ToAscii(text), kFont, ScaleOf(style), StrokeOf(style), &baseline).width;
}

void Write(cv::Mat3b& sheet, const std::string& text, int left, int baseline,
           const Lettering& style) {
  cv::putText(sheet, ToAscii(text), {left, baseline}, kFont, ScaleOf(style), style.colour,
              StrokeOf(style), cv::LINE_AA);
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
