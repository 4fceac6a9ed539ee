#include "worker/images/contact_sheet.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "worker/base/error.h"
#include "worker/images/crop.h"
#include "worker/images/lettering.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

const cv::Scalar kPaper(255, 255, 255);
constexpr int kMargin = 20;
constexpr int kGap = 12;
constexpr int kTitleHeight = 40;
constexpr int kHeadingHeight = 30;
constexpr int kLineHeight = 17;
constexpr int kMaxCaptionLines = 3;
constexpr int kMaxFigureLines = 2;
const Lettering kTitle{.height = 15, .bold = true};
const Lettering kHeading{.height = 11.5f, .colour = {40, 42, 48}, .bold = true};
const Lettering kCaption{.height = 8.5f, .colour = {92, 96, 104}};

using Captions = std::vector<std::vector<std::string>>;  // lines of each cell

struct RowLayout {
  Captions captions;
  int caption_lines = 0;
  int height = 0;
};

RowLayout LayOut(const SheetRow& row, int tile) {
  RowLayout layout;
  for (const auto& cell : row.cells) {
    auto& lines =
        layout.captions.emplace_back(WrapText(cell.caption, tile, kMaxCaptionLines, kCaption));
    for (auto& line : WrapText(cell.figures, tile, kMaxFigureLines, kCaption))
      lines.push_back(std::move(line));
    layout.caption_lines =
        std::max(layout.caption_lines, static_cast<int>(layout.captions.back().size()));
  }
  layout.height = (row.heading.empty() ? 0 : kHeadingHeight) + tile + kGap;
  if (layout.caption_lines > 0) layout.height += layout.caption_lines * kLineHeight + 6;
  return layout;
}

void Place(const Image& image, cv::Mat3b tile) {
  if (image.rgb.empty()) return;  // a cell left blank
  const float scale = std::min(tile.cols / static_cast<float>(image.width),
                               tile.rows / static_cast<float>(image.height));
  const int width = std::max(1, static_cast<int>(image.width * scale));
  const int height = std::max(1, static_cast<int>(image.height * scale));
  const Image fitted = Resize(image, width, height);
  ConstView(fitted).copyTo(
      tile(cv::Rect((tile.cols - width) / 2, (tile.rows - height) / 2, width, height)));
}

void DrawRow(const SheetRow& row, const RowLayout& layout, int tile, int top, cv::Mat3b& sheet) {
  if (!row.heading.empty()) {
    Write(sheet, row.heading, kMargin, top + kHeadingHeight - 11, kHeading);
    top += kHeadingHeight;
  }
  int left = kMargin;
  for (size_t i = 0; i < row.cells.size(); ++i) {
    Place(row.cells[i].image, sheet(cv::Rect(left, top, tile, tile)));
    int baseline = top + tile + kLineHeight;
    for (const auto& line : layout.captions[i]) {
      Write(sheet, line, left, baseline, kCaption);
      baseline += kLineHeight;
    }
    left += tile + kGap;
  }
}

}  // namespace

Image DrawContactSheet(const std::vector<SheetRow>& rows, const SheetOptions& options) {
  const int tile = options.tile;
  int columns = 0;
  int64_t height = 2 * kMargin - kGap + (options.title.empty() ? 0 : kTitleHeight);
  std::vector<RowLayout> layouts;
  for (const auto& row : rows) {
    layouts.push_back(LayOut(row, tile));
    columns = std::max(columns, static_cast<int>(row.cells.size()));
    height += layouts.back().height;
  }
  const int64_t width = 2 * kMargin - kGap + static_cast<int64_t>(columns) * (tile + kGap);
  constexpr int64_t kMaxPixels = 64'000'000;
  if (columns == 0 || width * height > kMaxPixels) {
    throw Error(ErrorKind::kInternal, "a contact sheet of " + std::to_string(width) + " x " +
                                          std::to_string(height) + " px cannot be drawn");
  }
  cv::Mat3b sheet(static_cast<int>(height), static_cast<int>(width));
  sheet.setTo(kPaper);
  int top = kMargin;
  if (!options.title.empty()) {
    const auto title = WrapText(options.title, sheet.cols - 2 * kMargin, 1, kTitle);
    Write(sheet, title.front(), kMargin, top + 16, kTitle);
    top += kTitleHeight;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    DrawRow(rows[i], layouts[i], tile, top, sheet);
    top += layouts[i].height;
  }
  return ToImage(sheet);
}

}  // namespace likeness
