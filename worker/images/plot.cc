#include "worker/images/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <opencv2/imgproc.hpp>

#include "worker/images/lettering.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

const cv::Scalar kPaper(255, 255, 255);
const cv::Scalar kGrid(228, 230, 234);
const cv::Scalar kLineColours[] = {{38, 104, 196}, {214, 84, 44}, {52, 150, 84}, {136, 72, 176}};
const Lettering kTitle{.height = 12, .bold = true};
const Lettering kLabel{.height = 9, .colour = {92, 96, 104}};

// A range of values with ticks at 1, 2 or 5 times a power of ten.
struct Axis {
  double low;
  double high;
  double step;
};

Axis FitAxis(double low, double high) {
  if (!(low <= high)) return {0, 1, 0.2};
  if (low == high) high = low + 1;
  constexpr int kTicks = 5;
  const double rough = (high - low) / kTicks;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  return {std::floor(low / step) * step, std::ceil(high / step) * step, step};
}

bool IsFinite(const PlotPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

std::string TickText(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", std::abs(value) < 1e-12 ? 0 : value);
  return text;
}

class Frame {
 public:
  Frame(cv::Mat3b& sheet, const cv::Rect& area, const Axis& x, const Axis& y)
      : sheet_(sheet), area_(area), x_(x), y_(y) {}

  void DrawGrid() {
    for (double x = x_.low; x <= x_.high + x_.step / 2; x += x_.step) {
      const int column = At({x, y_.low}).x;
      cv::line(sheet_, {column, area_.y}, {column, area_.br().y}, kGrid);
      const auto text = TickText(x);
      Write(sheet_, text, column - TextWidth(text, kLabel) / 2, area_.br().y + 18, kLabel);
    }
    for (double y = y_.low; y <= y_.high + y_.step / 2; y += y_.step) {
      const int row = At({x_.low, y}).y;
      cv::line(sheet_, {area_.x, row}, {area_.br().x, row}, kGrid);
      const auto text = TickText(y);
      Write(sheet_, text, area_.x - TextWidth(text, kLabel) - 8, row + 5, kLabel);
    }
  }

  void DrawLine(const PlotLine& line, const cv::Scalar& colour) {
    std::vector<cv::Point> points;
    for (const auto& point : line.points) {
      if (IsFinite(point)) points.push_back(At(point));
    }
    cv::polylines(sheet_, points, false, colour, 2, cv::LINE_AA);
  }

 private:
  cv::Point At(const PlotPoint& point) const {
    return {
        area_.x +
            static_cast<int>(std::lround(area_.width * (point.x - x_.low) / (x_.high - x_.low))),
        area_.br().y -
            static_cast<int>(std::lround(area_.height * (point.y - y_.low) / (y_.high - y_.low)))};
  }

  cv::Mat3b& sheet_;
  cv::Rect area_;
  Axis x_;
  Axis y_;
};

void DrawLegend(const std::vector<PlotLine>& lines, int right, int top, cv::Mat3b& sheet) {
  for (size_t i = 0; i < lines.size(); ++i, top += 20) {
    const int left = right - TextWidth(lines[i].name, kLabel) - 10;
    Write(sheet, lines[i].name, left, top, kLabel);
    cv::line(sheet, {left - 26, top - 4}, {left - 8, top - 4},
             kLineColours[i % std::size(kLineColours)], 2, cv::LINE_AA);
  }
}

}  // namespace

Image DrawPlot(const std::vector<PlotLine>& lines, const PlotOptions& options) {
  double low[2] = {INFINITY, INFINITY};
  double high[2] = {-INFINITY, -INFINITY};
  for (const auto& line : lines) {
    for (const auto& point : line.points) {
      if (!IsFinite(point)) continue;
      low[0] = std::min(low[0], point.x);
      high[0] = std::max(high[0], point.x);
      low[1] = std::min(low[1], point.y);
      high[1] = std::max(high[1], point.y);
    }
  }
  cv::Mat3b sheet(options.height, options.width);
  sheet.setTo(kPaper);
  const cv::Rect area(74, 62, options.width - 74 - 24, options.height - 62 - 56);
  Write(sheet, options.title, 16, 26, kTitle);
  Write(sheet, options.y_label, 16, 50, kLabel);
  Write(sheet, options.x_label, area.br().x - TextWidth(options.x_label, kLabel),
        options.height - 12, kLabel);
  Frame frame(sheet, area, FitAxis(low[0], high[0]), FitAxis(low[1], high[1]));
  frame.DrawGrid();
  for (size_t i = 0; i < lines.size(); ++i) {
    frame.DrawLine(lines[i], kLineColours[i % std::size(kLineColours)]);
  }
  if (lines.size() > 1) DrawLegend(lines, area.br().x, area.y + 18, sheet);
  return ToImage(sheet);
}

}  // namespace likeness
