// Speed and remaining time of a phase.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "worker/training/host.h"

namespace likeness {

class ProgressMeter {
 public:
  // Of `total` units, `done` are done before the clock starts.
  ProgressMeter(Phase phase, std::string unit, int64_t done, int64_t total)
      : phase_(phase), unit_(std::move(unit)), first_(done), total_(total) {}

  // After `done` units and this part, 0 to 1, of the next; speed is the mean since this was made.
  Progress After(int64_t done, double part = 0) const {
    Progress progress{.phase = phase_, .done = done, .total = total_, .unit = unit_};
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    const double measured = static_cast<double>(done - first_) + part;
    if (measured > 0 && elapsed.count() > 0) {
      progress.units_per_second = measured / elapsed.count();
      progress.eta_seconds =
          (static_cast<double>(total_ - done) - part) / *progress.units_per_second;
    }
    return progress;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Phase phase_;
  std::string unit_;
  int64_t first_;
  int64_t total_;
};

}  // namespace likeness
