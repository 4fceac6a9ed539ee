// The states of a job and the transitions between them, enforced in one function.
//
//   PENDING -> RUNNING -> SUCCEEDED | FAILED
//      |          |  \-> PENDING (lease lost, retryable failure or preemption, attempts left)
//      \-> CANCELLED  \-> CANCELLING -> CANCELLED
//   FAILED | CANCELLED -> PENDING (a client asks for another try)
#pragma once

#include "likeness/v1/job.pb.h"

namespace likeness::server {

// SUCCEEDED, FAILED or CANCELLED: nothing changes any more unless a client asks for another try.
bool IsTerminal(v1::JobState state);

// Whether a worker holds (or held, until it expires) a lease in this state: RUNNING or CANCELLING.
bool IsLeased(v1::JobState state);

// Whether the drawing above has an arrow. UNSPECIFIED -> PENDING is the creation.
bool CanBecome(v1::JobState from, v1::JobState to);

// "pending", "running", ... as metrics and messages spell it.
const char* StateLabel(v1::JobState state);

}  // namespace likeness::server
