// The phases of a job as clients see them, and how long each took.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"
#include "worker/runner/job_environment.h"
#include "worker/training/host.h"

namespace likeness {

// Reports progress with the list of phases, and measures them. One for each job.
class Phases {
 public:
  // `names`: the phases of this job in order, e.g. {"preparing", "training", "uploading"}.
  Phases(JobEnvironment& environment, std::vector<std::string> names);

  // Enters a phase, unless it is the current one, and reports how far it has come. `total` 0: not
  // known.
  void Report(const std::string& phase, int64_t done = 0, int64_t total = 0,
              const std::string& unit = "");
  // The same for what a recipe reports, its phases renamed.
  void Report(const Progress& progress);

  // "class_pictures_seconds", ... of the phases so far, the current one included.
  std::map<std::string, double> Seconds();

 private:
  using Clock = std::chrono::steady_clock;
  void Enter(const std::string& phase);
  v1::Progress Message(const std::string& phase, int64_t done, int64_t total,
                       const std::string& unit) const;

  JobEnvironment& environment_;
  std::vector<std::string> names_;
  std::string current_;
  Clock::time_point entered_;
  std::map<std::string, double> seconds_;
};

}  // namespace likeness
