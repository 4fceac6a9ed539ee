// The states of a job and the transitions between them, enforced in one function.
//
//   PENDING -> RUNNING -> SUCCEEDED | FAILED
//      |          |  \-> PENDING (lease lost, retryable failure or preemption, attempts left)
//      \-> CANCELLED  \-> CANCELLING -> CANCELLED
//   FAILED | CANCELLED -> PENDING (a client asks for another try)
#pragma once

#include <initializer_list>

#include "likeness/v1/job.pb.h"

namespace likeness::server {

// Every state that a job can be in.
inline constexpr std::initializer_list<v1::JobState> kJobStates = {
    v1::JOB_STATE_PENDING,   v1::JOB_STATE_RUNNING, v1::JOB_STATE_CANCELLING,
    v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED,  v1::JOB_STATE_CANCELLED};

// SUCCEEDED, FAILED or CANCELLED: nothing changes any more unless a client asks for another try.
bool IsTerminal(v1::JobState state);

// Whether a worker holds (or held, until it expires) a lease in this state: RUNNING or CANCELLING.
bool IsLeased(v1::JobState state);

// Whether the drawing above has an arrow. UNSPECIFIED -> PENDING is the creation.
bool CanBecome(v1::JobState from, v1::JobState to);

// "pending", "running", ... as metrics and messages spell it.
const char* StateLabel(v1::JobState state);

}  // namespace likeness::server
