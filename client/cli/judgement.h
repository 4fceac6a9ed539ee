// How good it is, in words: the measures among a job's metrics.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "likeness/v1/job.pb.h"

namespace likeness::client {

// Lines of a label and a text, e.g. "subject", "recognised 0.71 (0.65 to 0.77), your photos among
// themselves 0.77"; none for a job that was not judged.
std::vector<std::pair<std::string, std::string>> JudgementLines(const v1::Job& job);

}  // namespace likeness::client
