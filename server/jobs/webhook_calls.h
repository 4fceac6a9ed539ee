// Which events of a job are reported to its webhook, and what the store keeps of a call until it is
// made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "likeness/v1/event.pb.h"
#include "server/jobs/job_record.h"

namespace likeness::server {

// Calls about a job's progress are made at most this often.
inline constexpr absl::Duration kProgressInterval = absl::Milliseconds(500);

// Times are of Clock::Steady.
//
// A call that is to be made, from the commit of its event until it is answered or given up. For
// each job there is at most one about progress: a later one takes its place.
struct WebhookTask {
  int64_t key = 0;
  int64_t seq = 0;  // of the event
  v1::WebhookCall call;
  int attempts = 0;        // made so far
  absl::Time create_time;  // of the call
};

struct WebhookQuery {
  absl::Time now;
  int limit = 1;
  std::vector<int64_t> except;  // keys of calls under way
  std::vector<std::string> except_tenants;
  // Of a tenant, which comes first.
  std::vector<std::pair<std::string, std::string>> except_receivers;
};

struct WebhookPage {
  std::vector<WebhookTask> due;                  // the longest due first
  absl::Time next_due = absl::InfiniteFuture();  // of those that are not due yet
};

// What became of an attempt.
struct WebhookVerdict {
  int64_t key = 0;
  int64_t seq = 0;                   // of the event that was reported
  std::optional<absl::Time> repeat;  // when to try again; nothing: the call is done or given up
  absl::Time next_progress;          // when a call that took this one's place meanwhile may be made
};

// What the new events of a record make necessary. Progress is the last of it at most, and none once
// the job has ended.
std::vector<v1::WebhookCall> WebhookCallsOf(const JobRecord& record);

// Whom a URL calls: scheme, host and port.
std::string ReceiverOf(absl::string_view url);

}  // namespace likeness::server
