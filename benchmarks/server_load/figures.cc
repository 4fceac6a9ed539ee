#include "benchmarks/server_load/figures.h"

#include <algorithm>
#include <cmath>

namespace likeness::load {

void Latencies::Add(absl::Duration latency) {
  std::lock_guard lock(mutex_);
  millis_.push_back(static_cast<float>(absl::ToDoubleMilliseconds(latency)));
}

double Latencies::Quantile(double part) const {
  std::lock_guard lock(mutex_);
  if (millis_.empty()) return 0;
  std::vector<float> sorted = millis_;
  const auto nth =
      sorted.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), nth, sorted.end());
  return *nth;
}

size_t Latencies::count() const {
  std::lock_guard lock(mutex_);
  return millis_.size();
}

Slope SlopeOf(const std::vector<Point>& points) {
  const auto n = static_cast<double>(points.size());
  if (points.size() < 3) return {};
  double mean_x = 0;
  double mean_y = 0;
  for (const Point& point : points) {
    mean_x += point.x / n;
    mean_y += point.y / n;
  }
  double xx = 0;
  double xy = 0;
  for (const Point& point : points) {
    xx += (point.x - mean_x) * (point.x - mean_x);
    xy += (point.x - mean_x) * (point.y - mean_y);
  }
  if (xx == 0) return {};
  const double slope = xy / xx;
  double residual = 0;
  for (const Point& point : points) {
    const double error = point.y - mean_y - slope * (point.x - mean_x);
    residual += error * error;
  }
  return {slope, 1.96 * std::sqrt(residual / (n - 2) / xx)};
}

}  // namespace likeness::load
