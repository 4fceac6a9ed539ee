#pragma once

#include <map>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"

namespace likeness {

// What a job that succeeded leaves.
struct JobResult {
  v1::ResolvedSpec resolved;
  std::vector<v1::Output> outputs;
  std::map<std::string, double> metrics;
};

}  // namespace likeness
