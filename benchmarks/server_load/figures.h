// Latencies and trends.
#pragma once

#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace likeness::load {

// Thread-safe.
class Latencies {
 public:
  void Add(absl::Duration latency);
  // In milliseconds, of what was added; 0 of nothing. `part`: 0.5 is the median.
  double Quantile(double part) const;
  size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::vector<float> millis_ ABSL_GUARDED_BY(mutex_);
};

// The slope of a straight line through points (least squares), and how far it may be off either
// way with 95 % confidence, taking the points' errors as independent.
struct Slope {
  double per_x = 0;
  double margin = 0;
};
struct Point {
  double x = 0;
  double y = 0;
};
Slope SlopeOf(const std::vector<Point>& points);

}  // namespace likeness::load
