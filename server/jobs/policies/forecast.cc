#include "server/jobs/policies/forecast.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace likeness::server {

Forecast::Forecast(const QueueView& view, absl::Time now, const QueuePolicy& policy)
    : policy_(policy), now_(now) {
  for (const QueuePlace& job : view.waiting) {
    Tenant& tenant = tenants_[job.tenant];
    tenant.by_priority[static_cast<size_t>(job.priority)].emplace_back(job.queue_time, job.key);
    const int level = LevelOf(job.priority, now - job.queue_time, policy);
    for (int below = 0; below <= level; ++below) ++tenant.at_least[static_cast<size_t>(below)];
  }
  for (auto& [name, tenant] : tenants_) {
    tenant.weight = policy.WeightOf(name);
    for (auto& jobs : tenant.by_priority) std::sort(jobs.begin(), jobs.end());
  }

  const auto duration_of = [&](const std::string& method) -> std::optional<absl::Duration> {
    const auto known = view.durations.find(method);
    return known == view.durations.end() ? std::nullopt : std::optional(known->second);
  };
  for (const RunningJob& job : view.running) {
    const auto duration = duration_of(job.method);
    if (!duration) continue;
    free_in_.push_back(std::max(job.attempt_time + *duration - now, absl::ZeroDuration()));
  }
  std::sort(free_in_.begin(), free_in_.end());
  int64_t known = 0;
  absl::Duration total;
  for (const auto& [method, count] : view.methods) {
    const auto duration = duration_of(method);
    if (!duration) continue;
    total += *duration * count;
    known += count;
  }
  if (known > 0) mean_duration_ = total / known;
}

int Forecast::PositionOf(const QueuePlace& job) const {
  const auto own = tenants_.find(job.tenant);
  if (own == tenants_.end()) return 0;
  const auto level = static_cast<size_t>(LevelOf(job.priority, now_ - job.queue_time, policy_));

  // Of its own tenant: what is of its level or above, and older where it is of its level. Within a
  // priority the older job's level is never the lower one.
  int64_t same_level = 0;
  for (int priority = kLowestPriority; priority <= kHighestPriority; ++priority) {
    const auto& jobs = own->second.by_priority[static_cast<size_t>(priority)];
    const auto older = std::lower_bound(jobs.begin(), jobs.end(), Age{job.queue_time, job.key});
    const auto of_level = std::partition_point(jobs.begin(), older, [&](const Age& age) {
      return static_cast<size_t>(LevelOf(priority, now_ - age.first, policy_)) > level;
    });
    const auto below = std::partition_point(of_level, older, [&](const Age& age) {
      return static_cast<size_t>(LevelOf(priority, now_ - age.first, policy_)) == level;
    });
    same_level += below - of_level;
  }
  int64_t before = own->second.at_least[level + 1] + same_level;

  // Of others: what is above its level, and of its level their shares while its own tenant gets to
  // it.
  for (const auto& [name, other] : tenants_) {
    if (name == job.tenant) continue;
    const int64_t above = other.at_least[level + 1];
    const double turns = static_cast<double>(same_level) * other.weight / own->second.weight;
    before += above + std::min(other.at_least[level] - above, static_cast<int64_t>(turns));
  }
  return static_cast<int>(std::min<int64_t>(before, std::numeric_limits<int>::max()));
}

std::optional<absl::Time> Forecast::StartOf(int position) const {
  if (free_in_.empty()) return std::nullopt;
  if (position > 0 && !mean_duration_) return std::nullopt;
  // The work before it is poured over the workers, the first to be free first.
  absl::Duration work = position * mean_duration_.value_or(absl::ZeroDuration());
  for (size_t workers = 1; workers < free_in_.size(); ++workers) {
    const absl::Duration room =
        static_cast<int64_t>(workers) * (free_in_[workers] - free_in_[workers - 1]);
    if (work <= room) {
      return now_ + free_in_[workers - 1] + work / static_cast<int64_t>(workers);
    }
    work -= room;
  }
  return now_ + free_in_.back() + work / static_cast<int64_t>(free_in_.size());
}

absl::Duration MeanDuration(absl::Duration mean, int64_t runs, absl::Duration duration) {
  return mean + (duration - mean) / (std::min<int64_t>(runs, 9) + 1);
}

}  // namespace likeness::server
