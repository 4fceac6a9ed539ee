#include "server/jobs/sqlite/forecast_cache.h"

#include <algorithm>

#include "common/status_macros.h"
#include "server/jobs/sqlite/queue.h"

namespace likeness::server {
namespace {

// A forecast serves for so many times what it took to make: at most a twentieth of the time goes
// into forecasts, however long the queue and however often it changes.
constexpr int kServedTimes = 20;
constexpr absl::Duration kMostServed = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::shared_ptr<const Forecast>> ForecastCache::Get() {
  std::lock_guard lock(mutex_);  // of many who ask at once one reads
  const absl::Time now = clock_.Now().steady;
  const int64_t changes = changes_;
  if (forecast_) {
    const absl::Duration age = now - forecast_->made();
    const bool current = age == absl::ZeroDuration() && made_after_ == changes;
    if (current || age < served_) return forecast_;
  }
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(const QueueView view, ReadQueue(*database, now));
  forecast_ = std::make_shared<const Forecast>(view, now, policy_);
  made_after_ = changes;
  served_ = std::min(kServedTimes * (clock_.Now().steady - now), kMostServed);
  return forecast_;
}

}  // namespace likeness::server
