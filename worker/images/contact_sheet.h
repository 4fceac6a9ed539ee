// One picture that shows many, in rows under headings, each with its caption.
#pragma once

#include <string>
#include <vector>

#include "worker/base/image.h"

namespace likeness {

struct SheetCell {
  Image image;
  std::string caption;       // under the picture, on up to three lines
  std::string figures = "";  // under the caption, on up to two lines of their own
};

struct SheetRow {
  std::string heading;  // above the row; takes no room when empty
  std::vector<SheetCell> cells;
};

struct SheetOptions {
  std::string title = "";
  int tile = 192;  // pixels a side; smaller pictures are enlarged, larger ones shrunk, keeping
                   // their proportions
};

// Throws Error (kInternal) when there is no picture, or a sheet would have more than 64 megapixels.
Image DrawContactSheet(const std::vector<SheetRow>& rows, const SheetOptions& options = {});

}  // namespace likeness
