// Speed and remaining time of the steps of a training run.
#pragma once

#include <chrono>
#include <cstdint>

#include "worker/training/host.h"

namespace likeness {

class ProgressMeter {
 public:
  ProgressMeter(int64_t done, int64_t total) : first_(done), total_(total) {}

  // Phase "train" after `done` steps; speed is the mean since this was made.
  Progress After(int64_t done) const {
    Progress progress{.phase = "train", .done = done, .total = total_, .unit = "steps"};
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    if (done > first_ && elapsed.count() > 0) {
      progress.units_per_second = (done - first_) / elapsed.count();
      progress.eta_seconds = (total_ - done) / *progress.units_per_second;
    }
    return progress;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t first_;
  int64_t total_;
};

}  // namespace likeness
