#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace likeness {

// A number as people write it, for messages: "0.05", "2", "1e-06". The shortest text that reads
// back as the same number, so that a value and a limit that differ never look the same.
template <typename Real>
std::string NumberText(Real number) {
  if (std::isnan(number)) return "nan";  // without a sign
  std::array<char, 64> text;
  const auto written =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general);
  return {text.data(), written.ptr};
}

}  // namespace likeness
