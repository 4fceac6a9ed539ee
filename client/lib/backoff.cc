#include "client/lib/backoff.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <random>

#include "client/lib/wait_notice.h"
#include "common/clock.h"
#include "common/error_details.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

constexpr absl::Duration kLongestRateLimit = absl::Minutes(1);

double Jitter() {
  std::random_device random;
  return std::uniform_real_distribution<>(0, 1)(random);
}

// False if `stop` was requested.
bool Pause(absl::Duration delay, std::stop_token stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never_notified;
  never_notified.wait_for(lock, stop, absl::ToChronoMilliseconds(delay), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

absl::Duration BackoffDelay(const BackoffOptions& options, int tries, double jitter) {
  absl::Duration delay = options.first * std::exp2(std::min(tries - 1, 30));
  return std::min(delay, options.longest) * (1 - jitter / 4);
}

bool RateLimitWait::Passed(const absl::Status& status, std::stop_token stop) {
  if (ErrorReason(status) != "RATE_LIMITED") return false;
  // Others that were told the same do not all come back in the same moment.
  const absl::Duration named = RetryDelay(status).value_or(absl::Seconds(1));
  const absl::Duration delay = named + absl::Milliseconds(1) + named * Jitter() / 4;
  waited_ += delay;
  if (waited_ > kLongestRateLimit) return false;
  NoticeWait("the server's rate limit", delay);
  return Pause(delay, stop);
}

bool Backoff::Wait(std::stop_token stop) {
  if (tries_ == 0) first_failure_ = SteadyNow();
  if (SteadyNow() - first_failure_ > options_.give_up_after) return false;
  return Pause(BackoffDelay(options_, ++tries_, Jitter()), stop);
}

bool Backoff::WaitAfter(const absl::Status& status, std::stop_token stop) {
  const bool away = absl::IsUnavailable(status) || ErrorReason(status) == "UPLOAD_IN_PROGRESS";
  return away ? Wait(stop) : rate_limit_.Passed(status, stop);
}

}  // namespace likeness::client
