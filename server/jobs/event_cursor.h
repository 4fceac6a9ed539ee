// Walks through a job's committed events in order.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/status/statusor.h"
#include "common/resource_names.h"
#include "likeness/v1/event.pb.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// Belongs to one thread at a time. Holds at most one page of events, however slowly it is read.
class EventCursor {
 public:
  // Begins after the event `after` of the job that has this name and key. `job_ended`: the job had
  // ended when its last event was `last`; otherwise its end is still to come.
  EventCursor(JobStore& store, JobName name, int64_t key, int64_t after, bool job_ended,
              int64_t last)
      : store_(store),
        name_(std::move(name)),
        key_(key),
        after_(after),
        job_ended_(job_ended),
        ended_(job_ended && after == last) {}

  // The next event, or nothing when there is none yet (or no more, see ended). Of progress events
  // that piled up since the last look only the newest is returned; everything else is returned in
  // full.
  absl::StatusOr<std::optional<v1::JobEvent>> Next();

  // The last event of a job that has ended was returned.
  bool ended() const { return ended_; }
  // The seq of the last event that was returned or left out.
  int64_t position() const { return after_; }

 private:
  JobStore& store_;
  const JobName name_;
  const int64_t key_;
  int64_t after_;
  bool job_ended_;
  bool ended_;
  std::deque<v1::JobEvent> page_;
};

}  // namespace likeness::server
