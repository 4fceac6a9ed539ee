#include "server/jobs/job_record.h"

#include <utility>

#include "absl/strings/strip.h"
#include "common/judging.h"
#include "common/prompt_adapters.h"
#include "common/resource_names.h"
#include "common/sampler_names.h"
#include "common/used_spec.h"
#include "server/jobs/model_update.h"
#include "server/jobs/policies/choice.h"

namespace likeness::server {

const std::string& ModelOf(const v1::Job& job) {
  if (job.has_import_model()) return job.import_model().base_model();
  return job.has_fine_tune() ? job.fine_tune().base_model() : SelectionOf(job).name();
}

std::vector<std::string> ModelsOf(const v1::Job& job) {
  std::vector<std::string> models = {ModelOf(job)};
  for (const auto& adapter : SelectionOf(job).adapters()) models.push_back(adapter.model());
  if (!job.fine_tune().initial_model().empty()) models.push_back(job.fine_tune().initial_model());
  const auto name = ParseJobName(job.name());
  if (!name.ok()) return models;
  for (std::string& id : PromptAdapterIds(job.generate())) {
    models.push_back(ModelName{name->tenant, std::move(id)}.ToString());
  }
  return models;
}

bool MustBeJudged(const v1::FineTuneSpec& spec) {
  return PicksBestStep(spec) || (spec.judge().enabled() && !spec.samples().prompts().empty());
}

namespace {

// By the files that each method leaves; a rehearsal leaves none.
std::string MethodOfImported(const v1::Job& job) {
  for (const v1::Output& output : job.outputs()) {
    if (output.path() == "model/learned_embeds.safetensors") return "textual_inversion";
    if (output.path() == "model/hypernetwork.safetensors") return "hypernetwork";
  }
  return "lora";
}

void DescribeImported(const v1::Job& job, v1::Model& model) {
  const v1::ImportSpec& spec = ImportOf(job);
  model.set_base_model(job.import_model().base_model());
  model.set_class_noun(spec.class_noun());
  model.set_token(spec.token());
  model.set_method(MethodOfImported(job));
  model.set_kind(v1::MODEL_KIND_ADAPTER);
}

void DescribeTrained(const v1::Job& job, v1::Model& model) {
  const v1::FineTuneSpec& spec = FineTuneOf(job);
  model.set_base_model(job.fine_tune().base_model());
  model.set_class_noun(SubjectOf(spec).class_noun());
  model.set_token(SubjectOf(spec).token());
  model.set_method(MethodOf(job));
  model.set_kind(MakesAdapter(job.fine_tune()) ? v1::MODEL_KIND_ADAPTER : v1::MODEL_KIND_PIPELINE);
}

}  // namespace

v1::Model ModelMadeBy(const v1::Job& job) {
  v1::Model model;
  model.set_name(job.output_model());
  *model.mutable_create_time() = job.end_time();
  model.set_job(job.name());
  *model.mutable_labels() = job.labels();
  // What was used; the request's own words where the worker did not say.
  if (job.has_import_model()) {
    DescribeImported(job, model);
  } else {
    DescribeTrained(job, model);
  }
  model.set_base_model_digest(job.resolved().base_model_digest());
  model.set_rehearsed(job.rehearsed());
  model.set_uid(job.uid());
  *model.mutable_metrics() = job.metrics();
  CompleteModel(model);
  for (const v1::Output& output : job.outputs()) {
    if (output.kind() != v1::OUTPUT_KIND_MODEL_FILE) continue;
    v1::Output& file = *model.add_files() = output;
    absl::string_view path = output.path();
    absl::ConsumePrefix(&path, "model/");
    file.set_path(std::string(path));
    model.set_size_bytes(model.size_bytes() + output.size_bytes());
  }
  return model;
}

std::vector<std::string> SamplersOf(const v1::Job& job) {
  std::vector<std::string> samplers;
  auto add = [&](bool said, const std::string& sampler) {
    if (!said) return;
    // Every schedule of sigmas goes with the sampler that it is for.
    const auto found = FindSampler(sampler);
    samplers.push_back(found ? std::string(found->sampler->name) : sampler);
  };
  if (job.has_fine_tune()) {
    const auto& spec = job.fine_tune();
    add(spec.prior().has_sampler(), spec.prior().sampler());
    add(spec.samples().has_sampler(), spec.samples().sampler());
  } else if (job.has_evaluate()) {
    add(job.evaluate().has_sampler(), job.evaluate().sampler());
  } else {
    add(job.generate().has_sampler(), job.generate().sampler());
  }
  return samplers;
}

int PriorityOf(const v1::Job& job) {
  return job.priority() == 0 ? kDefaultPriority : job.priority();
}

}  // namespace likeness::server
