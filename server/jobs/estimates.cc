#include "server/jobs/estimates.h"

#include <algorithm>
#include <optional>
#include <string>

#include "common/job_spec.h"
#include "common/judging.h"
#include "common/resource_names.h"
#include "common/sampler_eta.h"
#include "common/status_macros.h"
#include "server/jobs/job_record.h"
#include "server/jobs/policies/work.h"

namespace likeness::server {
namespace {

constexpr int kMostEstimates = 10;

// The base model that the job's model was made from, or is.
absl::StatusOr<std::optional<v1::BaseModel>> BaseOf(JobStore& jobs, const v1::Job& job) {
  std::string name = ModelOf(job);
  ASSIGN_OR_RETURN(const ModelName parsed, ParseModelName(name));
  if (!parsed.is_base()) {
    ASSIGN_OR_RETURN(const v1::Model model, jobs.GetModel(parsed));
    name = model.base_model();
  }
  ASSIGN_OR_RETURN(const auto offered, jobs.BaseModels());
  const auto base = std::find_if(offered.begin(), offered.end(),
                                 [&](const v1::BaseModel& other) { return other.name() == name; });
  if (base == offered.end()) return std::nullopt;
  return *base;
}

// The job's settings with those that it leaves out.
v1::ResolvedSpec SettingsOf(const v1::Job& job, const v1::BaseModel& base) {
  v1::ResolvedSpec settings;
  if (job.has_generate()) {
    v1::GenerateSpec& spec = *settings.mutable_generate();
    const v1::Samples& defaults = base.generate_defaults();
    spec.set_images_per_prompt(defaults.images_per_prompt());
    spec.set_sampler(defaults.sampler());
    spec.set_steps(defaults.steps());
    spec.set_guidance(defaults.guidance());
    spec.MergeFrom(job.generate());
    if (!spec.has_width()) spec.set_width(base.image_size());
    if (!spec.has_height()) spec.set_height(base.image_size());
    return settings;
  }
  if (job.has_evaluate()) {
    v1::EvaluateSpec& spec = *settings.mutable_evaluate();
    const v1::Samples& defaults = base.generate_defaults();
    spec.set_images_per_prompt(kImagesPerPromptJudged);
    spec.set_sampler(defaults.sampler());
    spec.set_steps(defaults.steps());
    spec.set_guidance(defaults.guidance());
    spec.MergeFrom(job.evaluate());
    if (spec.prompts().empty()) spec.add_prompts();
    return settings;
  }
  if (job.has_export_model()) {
    *settings.mutable_export_model() = job.export_model();
    return settings;
  }
  if (job.has_import_model()) {
    *settings.mutable_import_model() = job.import_model();
    return settings;
  }
  v1::FineTuneSpec& spec = *settings.mutable_fine_tune();
  spec = base.fine_tune_defaults();
  for (const v1::FineTuneSpec& other : base.other_fine_tune_defaults()) {
    if (other.method_case() == job.fine_tune().method_case()) spec = other;
  }
  spec.clear_subjects();
  if (job.fine_tune().samples().prompts_size() > 0) spec.mutable_samples()->clear_prompts();
  if (job.fine_tune().previews().prompts_size() > 0) spec.mutable_previews()->clear_prompts();
  spec.MergeFrom(job.fine_tune());
  SettleEta(job.fine_tune().prior(), *spec.mutable_prior());
  if (spec.previews().every_steps() > 0 && spec.previews().prompts_size() == 0) {
    spec.mutable_previews()->add_prompts();
  }
  return settings;
}

}  // namespace

absl::Status AddEstimates(JobStore& jobs, v1::Job& job) {
  ASSIGN_OR_RETURN(const auto base, BaseOf(jobs, job));
  if (!base) return absl::OkStatus();
  const v1::ResolvedSpec settings = SettingsOf(job, *base);
  ASSIGN_OR_RETURN(const auto devices, jobs.MeasuredRates(base->digest(), MethodOf(job)));
  for (const DeviceRates& device : devices) {
    if (job.estimates_size() == kMostEstimates) break;
    if (auto estimate = EstimateWork(settings, device)) *job.add_estimates() = *estimate;
  }
  return absl::OkStatus();
}

}  // namespace likeness::server
