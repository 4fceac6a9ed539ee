// What every transition does to a job's record: its state, place in the queue, history and etag.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/jobs/job_record.h"
#include "server/jobs/moment.h"

namespace likeness::server {

// The date of what happens to the job now: its history does not go back, whatever becomes of the
// system's date.
absl::Time DateOf(const JobRecord& record, const Moment& now);

// An event of the job, dated and numbered, for the caller to say what happened.
v1::JobEvent& AddEvent(JobRecord& record, const Moment& now);

// Gives the job another etag, since what clients see of it has changed.
void Touch(JobRecord& record);

// Why a state changes: for programs and for people.
struct Cause {
  v1::StateChangeReason reason;
  absl::string_view detail;
};

// The only place where a state changes.
void SetState(JobRecord& record, v1::JobState to, const Cause& cause, const Moment& now);

// Of the job from now on. What was measured stays until it is measured anew: the next attempt
// reports none of it before it trains.
void SetProgress(JobRecord& record, v1::Progress progress);

// No worker gets the job before `not_before`.
void Enqueue(JobRecord& record, const Cause& cause, absl::Time not_before, const Moment& now);

// From the end of the queue, as a job that is new at `now`.
void EnqueueAnew(JobRecord& record, const Cause& cause, const Moment& now);

void Finish(JobRecord& record, v1::JobState state, const Cause& cause, const Moment& now);

}  // namespace likeness::server
