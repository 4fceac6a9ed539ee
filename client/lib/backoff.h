// How long to wait before a stream that broke is taken up again, or a call that came too early is
// repeated.
#pragma once

#include <stop_token>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace likeness::client {

struct BackoffOptions {
  absl::Duration first = absl::Milliseconds(200);
  absl::Duration longest = absl::Seconds(5);
  absl::Duration give_up_after = absl::Minutes(5);  // of unsuccessful tries in a row
};

// The wait before try `tries` (1 is the first repetition): doubles up to the longest; `jitter` in
// [0, 1) takes up to a quarter off, so that many clients do not come back in step.
absl::Duration BackoffDelay(const BackoffOptions& options, int tries, double jitter);

// A call of a tenant that calls too often.
class RateLimitWait {
 public:
  // Whether the call that ended as `status` is to be repeated now: it was RATE_LIMITED, and the
  // delay that the server named (google.rpc.RetryInfo) has passed. False also once that would take
  // longer than a minute in all, and as soon as `stop` is requested.
  bool Passed(const absl::Status& status, std::stop_token stop);

 private:
  absl::Duration waited_;
};

// Tries in a row.
class Backoff {
 public:
  explicit Backoff(const BackoffOptions& options) : options_(options) {}

  // It worked: start afresh.
  void Reset() {
    tries_ = 0;
    rate_limit_ = {};
  }

  // Waits before the next try. False: time to give up, or `stop` was requested.
  bool Wait(std::stop_token stop);

  // Waits before a call that ended as `status` is repeated: as above if the server could not be
  // reached or still waits for the broken call before it (UPLOAD_IN_PROGRESS), or as long as a rate
  // limit demands. False also for any other error.
  bool WaitAfter(const absl::Status& status, std::stop_token stop);

 private:
  BackoffOptions options_;
  int tries_ = 0;
  absl::Time first_failure_;  // by SteadyNow()
  RateLimitWait rate_limit_;
};

}  // namespace likeness::client
