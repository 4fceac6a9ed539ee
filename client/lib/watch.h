// Following a job over a connection that may break.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "client/lib/backoff.h"
#include "client/lib/connection.h"
#include "likeness/v1/event.pb.h"

namespace likeness::client {

struct WatchOptions {
  std::string resume_token{};  // of an event seen before; empty: from a snapshot on
  BackoffOptions backoff{};
  // Called each time the connection is lost, before the wait for the next try.
  std::function<void(const absl::Status&)> on_lost = [](const absl::Status&) {};
};

// Calls `on_event` with every event in order until the job has ended; blocks meanwhile. While the
// server is UNAVAILABLE the watch is taken up again after the last event seen, and no event is
// handed out twice; if the server no longer has that place, a fresh snapshot follows. Never changes
// the job. CANCELLED: `stop` was requested. UNAVAILABLE: given up. Others as the server sends them.
absl::Status WatchJob(const Connection& connection, const std::string& name,
                      const WatchOptions& options,
                      const std::function<void(const v1::JobEvent&)>& on_event,
                      std::stop_token stop = {});

// Calls `on_event` with every event of the tenant's jobs that pass `filter`, after `resume_token`
// of a list; blocks until the stream breaks, and returns why. What is missed then, a new list
// shows. CANCELLED: `stop` was requested. INVALID_ARGUMENT (INVALID_FILTER): the filter compares
// what changes.
absl::Status WatchJobs(const Connection& connection, const std::string& filter,
                       const std::string& resume_token,
                       const std::function<void(const v1::JobEvent&)>& on_event,
                       std::stop_token stop);

}  // namespace likeness::client
