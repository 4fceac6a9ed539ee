// The phases of a job as clients see them, and how long each took.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"
#include "worker/jobs/job_environment.h"
#include "worker/training/host.h"

namespace likeness {

// The phases of a fine-tune with these settings.
std::vector<Phase> PhasesOf(const v1::FineTuneSpec& resolved);

// Reports progress with the list of phases, and measures them. One for each job.
class Phases {
 public:
  // `phases`: those of this job, in order. Enters the first.
  Phases(JobEnvironment& environment, std::vector<Phase> phases);

  // Enters the phase, unless it is the current one, and says how far it has come. Repeats what was
  // measured last: a report may take the place of one that was not sent yet.
  void Report(const Progress& progress);

  // Counts what an attempt before had measured when it wrote the checkpoint that is gone on from:
  // `measured` is what Measurements() returned.
  void GoOnFrom(const std::map<std::string, double>& measured);

  // "class_pictures_seconds", ... of the phases so far, the current one included; and
  // "class_images_drawn", those that did not lie in the cache.
  std::map<std::string, double> Measurements();

 private:
  using Clock = std::chrono::steady_clock;
  void Enter(Phase phase);

  JobEnvironment& environment_;
  std::vector<Phase> phases_;
  Phase current_;
  Clock::time_point entered_ = Clock::now();
  std::map<std::string, double> seconds_;
  std::map<std::string, double> before_;  // of attempts before this one
  bool class_images_ = false;             // whether there were any
  int64_t class_images_drawn_ = 0;
  std::optional<v1::TrainingMeasurements> measurements_;  // the latest
};

}  // namespace likeness
