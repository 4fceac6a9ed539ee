// Phases of jobs in words.
#pragma once

#include <string>

#include "likeness/v1/job.pb.h"

namespace likeness {

// JOB_PHASE_CLASS_IMAGES is "class images"; a phase that this program does not know is "working".
std::string PhaseLabel(v1::JobPhase phase);

}  // namespace likeness
