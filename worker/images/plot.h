// A line plot, such as a loss curve.
#pragma once

#include <string>
#include <vector>

#include "worker/base/image.h"

namespace likeness {

struct PlotPoint {
  double x;
  double y;
};

struct PlotLine {
  std::string name;               // in the legend, when there is more than one line
  std::vector<PlotPoint> points;  // by rising x; points that are not finite are left out
};

struct PlotOptions {
  std::string title = "";
  std::string x_label = "";
  std::string y_label = "";
  int width = 720;
  int height = 420;
};

// A plot without a point shows its empty axes.
Image DrawPlot(const std::vector<PlotLine>& lines, const PlotOptions& options);

}  // namespace likeness
