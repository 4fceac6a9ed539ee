// The part of the admission that knows which samplers base models recommend.
#include <algorithm>
#include <string>

#include "common/job_spec.h"
#include "common/status_macros.h"
#include "server/jobs/admission.h"
#include "server/jobs/recommended.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {
namespace {

// An eta that is for the sampler `recommended`, for none is named.
template <typename Spec>
void CheckEta(const Spec& asked, const std::string& recommended, const std::string& field,
              FieldChecker& checker) {
  if (asked.has_eta() && !asked.has_sampler()) checker.Eta(field, asked.eta(), recommended);
}

bool HasEta(const v1::Job& job) {
  return job.generate().has_eta() || job.evaluate().has_eta() ||
         job.fine_tune().samples().has_eta() || job.fine_tune().prior().has_eta();
}

}  // namespace

absl::Status Admission::CheckEtas(const v1::Job& job) const {
  if (!HasEta(job)) return absl::OkStatus();
  const v1::FineTuneSpec& spec = job.fine_tune();
  const std::string& model = job.has_fine_tune() ? spec.base_model() : SelectionOf(job).name();
  ASSIGN_OR_RETURN(const auto offered, jobs_.BaseModels());
  const auto base = std::find_if(offered.begin(), offered.end(),
                                 [&](const v1::BaseModel& offer) { return offer.name() == model; });
  // A whole personalized model draws with what its base recommended when it was made.
  if (base == offered.end()) return absl::OkStatus();
  FieldChecker checker;
  const std::string& sampler = base->generate_defaults().sampler();
  CheckEta(job.generate(), sampler, "job.generate.eta", checker);
  CheckEta(job.evaluate(), sampler, "job.evaluate.eta", checker);
  if (const v1::FineTuneSpec* defaults = DefaultsFor(spec, *base)) {
    CheckEta(spec.samples(), defaults->samples().sampler(), "job.fine_tune.samples.eta", checker);
    CheckEta(spec.prior(), defaults->prior().sampler(), "job.fine_tune.prior.eta", checker);
  }
  return checker.status();
}

}  // namespace likeness::server
