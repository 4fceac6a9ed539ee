#include "client/lib/backoff.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <random>

#include "absl/time/clock.h"

namespace likeness::client {

absl::Duration BackoffDelay(const BackoffOptions& options, int tries, double jitter) {
  absl::Duration delay = options.first * std::exp2(std::min(tries - 1, 30));
  return std::min(delay, options.longest) * (1 - jitter / 4);
}

bool Backoff::Wait(std::stop_token stop) {
  if (tries_ == 0) first_failure_ = absl::Now();
  if (absl::Now() - first_failure_ > options_.give_up_after) return false;
  std::random_device random;
  auto delay = BackoffDelay(options_, ++tries_, std::uniform_real_distribution<>(0, 1)(random));
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never_notified;
  never_notified.wait_for(lock, stop, absl::ToChronoMilliseconds(delay), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace likeness::client
