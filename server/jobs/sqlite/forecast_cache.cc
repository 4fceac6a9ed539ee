#include "server/jobs/sqlite/forecast_cache.h"

#include "common/status_macros.h"
#include "server/jobs/sqlite/queue.h"

namespace likeness::server {
namespace {

constexpr int64_t kLongQueue = 1000;
constexpr absl::Duration kLongQueueAge = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::shared_ptr<const Forecast>> ForecastCache::Get() {
  std::lock_guard lock(mutex_);  // of many who ask at once one reads
  const absl::Time now = clock_.Now();
  const int64_t changes = changes_;
  if (forecast_) {
    const absl::Duration age = now - forecast_->made();
    const bool current = age == absl::ZeroDuration() && made_after_ == changes;
    const bool good_enough = forecast_->waiting() > kLongQueue && age < kLongQueueAge;
    if (current || good_enough) return forecast_;
  }
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(const QueueView view, ReadQueue(*database, now));
  forecast_ = std::make_shared<const Forecast>(view, now, policy_);
  made_after_ = changes;
  return forecast_;
}

}  // namespace likeness::server
