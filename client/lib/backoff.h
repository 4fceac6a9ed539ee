// How long to wait before a stream that broke is taken up again.
#pragma once

#include <stop_token>

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

// Tries in a row.
class Backoff {
 public:
  explicit Backoff(const BackoffOptions& options) : options_(options) {}

  // It worked: start afresh.
  void Reset() { tries_ = 0; }

  // Waits before the next try. False: time to give up, or `stop` was requested.
  bool Wait(std::stop_token stop);

 private:
  BackoffOptions options_;
  int tries_ = 0;
  absl::Time first_failure_;
};

}  // namespace likeness::client
