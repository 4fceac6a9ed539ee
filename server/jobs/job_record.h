// A job as a store keeps it: the resource that clients see, and what they do not see.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/job_spec.h"
#include "common/resource_names.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/model.pb.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::server {

// How a worker itself gave a lease up before the job's end.
enum class LeaseEnd { kNone, kFailed, kReleased };

// Times are of the queue's clock (moment.h) unless a comment says otherwise.
struct JobRecord {
  int64_t key = 0;  // grows with every job created; set by the store
  v1::Job job;      // without what is told when asked for: place in the queue, times to come

  // The lease: whoever holds `lease_token` may change the job until `lease_expire`. The token stays
  // after the end, so that its holder can repeat its last call.
  std::string lease_token;
  absl::Time lease_expire = absl::InfinitePast();
  std::string worker;
  bool heard = true;  // the worker has said something under the lease
  // What AcquireLease asked for it with; empty if its caller cannot repeat the call.
  std::string acquire_request;
  // Of the last heartbeat under the lease that brought more than progress: the same again is no
  // news.
  int64_t last_sequence = 0;
  // The last lease that its worker gave up, and how: the call may be repeated, though the job be
  // leased again meanwhile.
  std::string ended_token;
  LeaseEnd ended_by = LeaseEnd::kNone;

  int failures = 0;                              // attempts that count against max_attempts
  absl::Time not_before = absl::InfinitePast();  // schedule_time, back-off
  absl::Time queue_time = absl::InfinitePast();  // since when it waits: its age in the queue
  // When it has waited too long, or run too long.
  absl::Time deadline = absl::InfiniteFuture();
  absl::Time attempt_time = absl::InfinitePast();  // when the last attempt began
  absl::Duration run_time = absl::ZeroDuration();  // of the attempts that ended
  std::optional<v1::Checkpoint> checkpoint;

  int64_t last_seq = 0;                               // of the last event
  absl::Time last_event_time = absl::InfinitePast();  // by date
  std::vector<v1::JobEvent> new_events;  // appended since the record was loaded; committed with it
};

// The model the job starts from: baseModels/{base_model} or tenants/{tenant}/models/{model}.
const std::string& ModelOf(const v1::Job& job);

// That, the adapters that lie over it, for all of the job or for one of its prompts, and the one
// that a training goes on from.
std::vector<std::string> ModelsOf(const v1::Job& job);

// What a job that succeeded made under its output_model, with the paths of files from the model's
// directory on: "unet/config.json".
v1::Model ModelMadeBy(const v1::Job& job);

// Whether the job asks for figures of its pictures, and draws some, or for the step that is judged
// best. (One that does not say is judged where its worker can.)
bool MustBeJudged(const v1::FineTuneSpec& spec);

// Every sampler that the job says it draws with, as workers offer them.
std::vector<std::string> SamplersOf(const v1::Job& job);

// Jobs of old may say none.
int PriorityOf(const v1::Job& job);

}  // namespace likeness::server
