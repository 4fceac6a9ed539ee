#include "server/jobs/policies.h"

#include <algorithm>

namespace likeness::server {
namespace {

template <typename List>
bool Contains(const List& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool OffersModel(const Candidate& job, const v1::AcquireLeaseRequest& offer) {
  if (job.base_model.empty()) return true;
  return std::any_of(
      offer.base_models().begin(), offer.base_models().end(), [&](const v1::BaseModel& model) {
        return model.name() == job.base_model &&
               (job.base_model_digest.empty() || model.digest() == job.base_model_digest);
      });
}

}  // namespace

std::optional<absl::Duration> DelayAfterFailure(int failures, int max_attempts,
                                                const RetryPolicy& policy) {
  if (failures >= max_attempts) return std::nullopt;
  absl::Duration delay = policy.first_delay;
  for (int i = 1; i < failures && delay < policy.max_delay; ++i) delay *= 2;
  return std::min(delay, policy.max_delay);
}

bool CanRun(const Candidate& job, const v1::AcquireLeaseRequest& offer) {
  return Contains(offer.methods(), job.method) && OffersModel(job, offer) &&
         std::all_of(job.samplers.begin(), job.samplers.end(), [&](const std::string& sampler) {
           return Contains(offer.samplers(), sampler);
         });
}

std::optional<size_t> ChooseJob(const std::vector<Candidate>& candidates,
                                const v1::AcquireLeaseRequest& offer, absl::Time now,
                                absl::Duration patience) {
  std::optional<size_t> oldest;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!CanRun(candidates[i], offer)) continue;
    if (!oldest) {
      oldest = i;
      if (now - candidates[i].create_time >= patience) break;
    }
    if (Contains(offer.resident_models(), candidates[i].model)) return i;
  }
  return oldest;
}

}  // namespace likeness::server
