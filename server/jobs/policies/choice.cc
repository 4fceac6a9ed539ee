#include "server/jobs/policies/choice.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "server/base/planted.h"
#include "server/jobs/measures_needed.h"

namespace likeness::server {
namespace {

template <typename List, typename Value>
bool Contains(const List& list, const Value& value) {
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

// A worker that does not offer the base model judges what was made of it as it judges others.
bool Judges(const Needs& needs, const v1::AcquireLeaseRequest& offer) {
  if (needs.judged_as.empty()) return true;
  const auto& models = offer.base_models();
  const auto measures_all = [&](const v1::BaseModel& model) {
    return MeasuresAll(model, needs.measures);
  };
  const auto own = std::find_if(models.begin(), models.end(), [&](const v1::BaseModel& model) {
    return model.name() == needs.judged_as;
  });
  return own != models.end() ? measures_all(*own)
                             : std::any_of(models.begin(), models.end(), measures_all);
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

// A candidate's place, its level first: the least is leased.
using Place = std::tuple<int, double, absl::Duration, absl::Time, int64_t>;

Place PlaceOf(const Candidate& job, const Shares& shares, absl::Time now,
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
         OffersModel(needs, offer) && Judges(needs, offer) &&
         offer.spec_revision() >= needs.spec_revision &&
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
  struct Standing {
    Place place;
    int64_t resident;  // models of the job that the worker has in memory
    size_t index;

    auto warmth() const { return std::tuple(std::get<0>(place), -resident, place); }
  };
  std::vector<Standing> standings;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& job = candidates[i];
    if (!CanRun(job.needs, offer)) continue;
    const int64_t resident = std::count_if(
        job.models.begin(), job.models.end(),
        [&](const std::string& model) { return Contains(offer.resident_models(), model); });
    standings.push_back({PlaceOf(job, shares, now, policy), resident, i});
  }
  if (standings.empty()) return std::nullopt;
  const auto first =
      std::min_element(standings.begin(), standings.end(),
                       [](const Standing& a, const Standing& b) { return a.place < b.place; });
  if (now - candidates[first->index].queue_time >= policy.patience) return first->index;
  return std::min_element(
             standings.begin(), standings.end(),
             [](const Standing& a, const Standing& b) { return a.warmth() < b.warmth(); })
      ->index;
}

void ChargeTenant(const std::string& tenant, absl::Duration cost, const QueuePolicy& policy,
                  Shares& shares) {
  TenantShare& share = shares.tenants[tenant];
  const absl::Duration start = std::max(share.served, shares.virtual_time);
  share.served = start + cost / policy.WeightOf(tenant);
  shares.virtual_time = start;
}

}  // namespace likeness::server
