// Plain lettering for sheets and plots. The font knows ASCII; other characters come out as '?'.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace likeness {

struct Lettering {
  float height = 13;  // of a capital letter, pixels
  cv::Scalar colour = {40, 42, 48};
  bool bold = false;
};

int TextWidth(const std::string& text, const Lettering& style);

// `left` and `baseline` in pixels.
void Write(cv::Mat3b& sheet, const std::string& text, int left, int baseline,
           const Lettering& style);

// Lines of at most `width` pixels, broken at spaces; a longer word stands on a line of its own,
// cut. No more than `max_lines`, the last one ending in "..." if words are left over.
std::vector<std::string> WrapText(const std::string& text, int width, int max_lines,
                                  const Lettering& style);

}  // namespace likeness
