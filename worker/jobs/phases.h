// The phases of a job as clients see them, and how long each took.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"
#include "worker/jobs/job_environment.h"
#include "worker/training/host.h"

namespace likeness {

// As clients see it.
v1::JobPhase ToJobPhase(Phase phase);

// Reports progress with the list of phases, and measures them. One for each job.
class Phases {
 public:
  // `phases`: those of this job, in order. Enters the first.
  Phases(JobEnvironment& environment, std::vector<Phase> phases);

  // Enters the phase, unless it is the current one, and says how far it has come.
  void Report(const Progress& progress);

  // "class_pictures_seconds", ... of the phases so far, the current one included.
  std::map<std::string, double> Seconds();

 private:
  using Clock = std::chrono::steady_clock;
  void Enter(Phase phase);

  JobEnvironment& environment_;
  std::vector<Phase> phases_;
  Phase current_;
  Clock::time_point entered_ = Clock::now();
  std::map<std::string, double> seconds_;
};

}  // namespace likeness
