#include "server/jobs/policies/choice.h"

#include <algorithm>
#include <tuple>

#include "server/base/planted.h"

namespace likeness::server {
namespace {

template <typename List>
bool Contains(const List& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool OffersModel(const Needs& needs, const v1::AcquireLeaseRequest& offer) {
  if (needs.base_model.empty()) return true;
  return std::any_of(
      offer.base_models().begin(), offer.base_models().end(), [&](const v1::BaseModel& model) {
        return model.name() == needs.base_model &&
               (needs.base_model_digest.empty() || model.digest() == needs.base_model_digest);
      });
}

bool HasLabels(const Needs& needs, const v1::AcquireLeaseRequest& offer) {
  return std::all_of(needs.labels.begin(), needs.labels.end(), [&](const auto& label) {
    const auto found = offer.labels().find(label.first);
    return found != offer.labels().end() && found->second == label.second;
  });
}

TenantShare ShareOf(const std::string& tenant, const Shares& shares) {
  const auto found = shares.tenants.find(tenant);
  return found == shares.tenants.end() ? TenantShare() : found->second;
}

// A candidate's place: the least is leased.
std::tuple<int, double, absl::Duration, absl::Time, int64_t> PlaceOf(const Candidate& job,
                                                                     const Shares& shares,
                                                                     absl::Time now,
                                                                     const QueuePolicy& policy) {
  const TenantShare share = ShareOf(job.tenant, shares);
  return {-LevelOf(job.priority, now - job.queue_time, policy),
          share.running / policy.WeightOf(job.tenant), std::max(share.served, shares.virtual_time),
          job.queue_time, job.key};
}

}  // namespace

double QueuePolicy::WeightOf(const std::string& tenant) const {
  const auto found = weights.find(tenant);
  return found == weights.end() ? 1 : found->second;
}

bool CanRun(const Needs& needs, const v1::AcquireLeaseRequest& offer) {
  return Contains(offer.methods(), needs.method) &&
         std::all_of(
             needs.methods.begin(), needs.methods.end(),
             [&](const std::string& method) { return Contains(offer.methods(), method); }) &&
         OffersModel(needs, offer) &&
         std::all_of(
             needs.samplers.begin(), needs.samplers.end(),
             [&](const std::string& sampler) { return Contains(offer.samplers(), sampler); }) &&
         offer.device_memory_bytes() >= needs.device_memory_bytes && HasLabels(needs, offer);
}

int LevelOf(int priority, absl::Duration waited, const QueuePolicy& policy) {
  if (Planted("priority-ignored")) return kDefaultPriority;
  const absl::Duration missing = (kHighestPriority - priority) * policy.ageing;
  if (waited >= missing) return kHighestPriority;
  if (waited <= absl::ZeroDuration()) return priority;
  return priority + static_cast<int>(absl::IDivDuration(waited, policy.ageing, &waited));
}

std::optional<size_t> ChooseJob(const std::vector<Candidate>& candidates, const Shares& shares,
                                const v1::AcquireLeaseRequest& offer, absl::Time now,
                                const QueuePolicy& policy) {
  using Place = decltype(PlaceOf(candidates.front(), shares, now, policy));
  std::optional<std::pair<Place, size_t>> first;
  std::optional<std::pair<Place, size_t>> warm;  // the first whose model is in memory
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!CanRun(candidates[i].needs, offer)) continue;
    const std::pair place{PlaceOf(candidates[i], shares, now, policy), i};
    if (!first || place < *first) first = place;
    const bool resident = Contains(offer.resident_models(), candidates[i].model);
    if (resident && (!warm || place < *warm)) warm = place;
  }
  if (!first) return std::nullopt;
  const bool patient = now - candidates[first->second].queue_time < policy.patience;
  const bool same_level = warm && std::get<0>(warm->first) == std::get<0>(first->first);
  return patient && same_level ? warm->second : first->second;
}

void ChargeTenant(const std::string& tenant, absl::Duration cost, const QueuePolicy& policy,
                  Shares& shares) {
  TenantShare& share = shares.tenants[tenant];
  const absl::Duration start = std::max(share.served, shares.virtual_time);
  share.served = start + cost / policy.WeightOf(tenant);
  shares.virtual_time = start;
}

}  // namespace likeness::server
