// The part of the admission that knows which settings base models have, and which samplers they
// recommend.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/spec_revision.h"
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
  const v1::BaseModel* base = FindOffer(offered, model);
  // A whole personalized model draws with what its base recommended when it was made.
  if (base == nullptr) return absl::OkStatus();
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

absl::Status Admission::CheckMicroConditioning(const v1::Job& job, const std::string& base_model,
                                               const std::string& field) const {
  const auto known = known_revision_();
  if (!known || *known < SpecRevisionOf(job)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto offered, jobs_.BaseModels());
  const v1::BaseModel* base = FindOffer(offered, base_model);
  if (base == nullptr || !base->has_fine_tune_defaults()) return absl::OkStatus();
  if (base->fine_tune_defaults().training().has_micro_conditioning()) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat("is for base models of the Stable Diffusion XL family; ",
                                   base_model, " is told nothing of sizes and crops"),
                      "OUT_OF_RANGE");
}

}  // namespace likeness::server
