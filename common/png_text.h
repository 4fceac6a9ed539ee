// Text in PNG files: tEXt and iTXt chunks (PNG specification, third edition, 11.3.3).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace likeness {

struct PngText {
  std::string keyword;  // 1 to 79 ASCII characters
  std::string text;     // UTF-8
};

// The file with the texts before its pixels: ASCII as tEXt, which every reader knows, other text as
// uncompressed iTXt. What is no PNG file is returned as it is.
std::string WithPngTexts(absl::string_view png, const std::vector<PngText>& texts);

// The first text of the keyword; nothing where there is none. Compressed texts are passed over.
std::optional<std::string> FindPngText(absl::string_view png, absl::string_view keyword);

}  // namespace likeness
