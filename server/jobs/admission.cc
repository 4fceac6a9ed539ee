#include "server/jobs/admission.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/ids.h"
#include "common/job_spec.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/spec_revision.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "server/jobs/estimates.h"
#include "server/jobs/job_record.h"
#include "server/jobs/measures_needed.h"
#include "server/jobs/recommended.h"
#include "server/jobs/request_fingerprint.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kDefaultAttempts = 3;
constexpr int kJobIdLength = 12;

// What a client may say about a job; the rest is output only.
v1::Job ClientFields(const v1::Job& said) {
  v1::Job job;
  *job.mutable_labels() = said.labels();
  if (said.has_fine_tune()) *job.mutable_fine_tune() = said.fine_tune();
  if (said.has_generate()) *job.mutable_generate() = said.generate();
  if (said.has_evaluate()) *job.mutable_evaluate() = said.evaluate();
  if (said.has_export_model()) *job.mutable_export_model() = said.export_model();
  if (said.has_import_model()) *job.mutable_import_model() = said.import_model();
  if (said.has_webhook()) {
    *job.mutable_webhook() = said.webhook();
    if (said.webhook().events().empty()) {
      job.mutable_webhook()->add_events(v1::WEBHOOK_EVENT_STATE_CHANGE);
    }
  }
  job.set_max_attempts(said.has_max_attempts() ? said.max_attempts() : kDefaultAttempts);
  job.set_priority(PriorityOf(said));
  if (said.has_schedule_time()) *job.mutable_schedule_time() = said.schedule_time();
  if (said.has_max_queue_duration()) {
    *job.mutable_max_queue_duration() = said.max_queue_duration();
  }
  if (said.has_execution_timeout()) *job.mutable_execution_timeout() = said.execution_timeout();
  if (said.has_stall_timeout()) *job.mutable_stall_timeout() = said.stall_timeout();
  if (said.has_requirements()) *job.mutable_requirements() = said.requirements();
  return job;
}

// What the client did not fix.
void DrawSeeds(v1::Job& job) {
  if (job.has_generate()) {
    if (!job.generate().has_seed()) job.mutable_generate()->set_seed(RandomSeed());
    return;
  }
  if (job.has_evaluate()) {
    if (!job.evaluate().has_seed()) job.mutable_evaluate()->set_seed(RandomSeed());
    return;
  }
  if (!job.has_fine_tune()) return;
  v1::FineTuneSpec& spec = *job.mutable_fine_tune();
  if (!spec.training().has_seed()) spec.mutable_training()->set_seed(RandomSeed());
  if (!spec.samples().prompts().empty() && !spec.samples().has_seed()) {
    spec.mutable_samples()->set_seed(RandomSeed());
  }
}

// The adapter that is named in the model's place becomes the first of the adapters.
void MoveToAdapters(v1::ModelSelection& selection) {
  v1::Adapter first;
  first.set_model(std::move(*selection.mutable_name()));
  selection.clear_name();
  *selection.add_adapters() = std::move(first);
  auto& adapters = *selection.mutable_adapters();
  std::rotate(adapters.pointer_begin(), adapters.pointer_end() - 1, adapters.pointer_end());
}

const v1::Lora& LoraOf(const v1::FineTuneSpec& spec) {
  return spec.has_lora() ? spec.lora() : spec.pivotal_tuning().lora();
}

// Of a job whose rank is what the base model recommends.
void CheckMinRank(const v1::FineTuneSpec& spec, const v1::FineTuneSpec* defaults,
                  const std::string& path, FieldChecker& checker) {
  const v1::Lora& lora = LoraOf(spec);
  if (!lora.has_min_rank() || lora.has_rank() || defaults == nullptr) return;
  if (!LoraOf(*defaults).has_rank()) return;
  checker.Integer(
      absl::StrCat(path, spec.has_lora() ? ".lora" : ".pivotal_tuning.lora", ".min_rank"),
      lora.min_rank(), 1, LoraOf(*defaults).rank());
}

std::string Names(const std::vector<v1::BaseModel>& models) {
  return absl::StrJoin(models, ", ", [](std::string* out, const v1::BaseModel& model) {
    out->append(model.name());
  });
}

// "gpu=yes and a device with 8000000000 bytes of memory".
std::string Described(const v1::Requirements& requirements) {
  const std::map<std::string, std::string> labels(requirements.labels().begin(),
                                                  requirements.labels().end());
  std::vector<std::string> needs;
  for (const auto& [key, value] : labels) needs.push_back(absl::StrCat(key, "=", value));
  if (requirements.min_device_memory_bytes() > 0) {
    needs.push_back(
        absl::StrCat("a device with ", requirements.min_device_memory_bytes(), " bytes of memory"));
  }
  return absl::StrJoin(needs, " and ");
}

}  // namespace

absl::StatusOr<v1::Job> Admission::Create(const std::string& tenant,
                                          const v1::CreateJobRequest& request) {
  if (request.validate_only()) {
    RETURN_IF_ERROR(Check(request));
    ASSIGN_OR_RETURN(v1::Job job, Resolve(tenant, request.job(), request.job_id()));
    RETURN_IF_ERROR(jobs_.CheckNames(job));
    RETURN_IF_ERROR(InlineToBlobs(tenant, /*store=*/false, job));
    AddWarnings(job);
    RETURN_IF_ERROR(AddEstimates(jobs_, job));
    return job;
  }
  NewJob accepted;
  accepted.request_id = request.request_id();
  if (!accepted.request_id.empty()) {
    accepted.fingerprint = RequestFingerprint(request);
    ASSIGN_OR_RETURN(auto first,
                     jobs_.FindRequest(tenant, accepted.request_id, accepted.fingerprint));
    if (first) return *std::move(first);
  }
  RETURN_IF_ERROR(Check(request));
  const std::string id = request.job_id().empty() ? RandomId(kJobIdLength) : request.job_id();
  ASSIGN_OR_RETURN(accepted.job, Resolve(tenant, request.job(), id));
  RETURN_IF_ERROR(InlineToBlobs(tenant, /*store=*/true, accepted.job));
  AddWarnings(accepted.job);
  accepted.job.set_uid(RandomUuid());
  DrawSeeds(accepted.job);
  if (CurrentTrace()) accepted.job.set_traceparent(CurrentTrace()->ToTraceparent());
  accepted.keep = KeepsBlobs();
  return jobs_.Create(accepted);
}

absl::StatusOr<v1::Job> Admission::Resolve(const std::string& tenant, const v1::Job& said,
                                           const std::string& id) {
  RETURN_IF_ERROR(quota_.Reserve(tenant, 0).status());
  if (said.has_webhook()) RETURN_IF_ERROR(check_webhook_(tenant, said.webhook()));
  v1::Job job = ClientFields(said);
  if (!id.empty()) job.set_name(JobName{tenant, id}.ToString());
  Request request{tenant, {blobs_, limits_, tenant}, {jobs_, tenant}};
  if (job.has_generate()) {
    RETURN_IF_ERROR(ResolveGenerate(request, job));
    RETURN_IF_ERROR(CheckEtas(job));
    RETURN_IF_ERROR(CheckNetworks(job));
    return job;
  }
  if (job.has_evaluate()) {
    RETURN_IF_ERROR(ResolveEvaluate(request, job));
    return job;
  }
  if (job.has_export_model()) {
    RETURN_IF_ERROR(ResolveExport(request, job));
    return job;
  }
  if (job.has_import_model()) {
    RETURN_IF_ERROR(ResolveImport(tenant, id, job));
    return job;
  }
  v1::FineTuneSpec& spec = *job.mutable_fine_tune();
  if (spec.output_model_id().empty()) spec.set_output_model_id(id);
  if (!spec.output_model_id().empty()) {
    job.set_output_model(ModelName{tenant, spec.output_model_id()}.ToString());
  }
  RETURN_IF_ERROR(ResolveFineTune(request, job));
  RETURN_IF_ERROR(CheckEtas(job));
  RETURN_IF_ERROR(CheckNetworks(job));
  return job;
}

void Admission::AddWarnings(v1::Job& job) const {
  WarnOfOldWorkers(job);
  if (!may_meet_(job.requirements())) {
    job.add_warnings(absl::StrCat("when the job was created, no worker had ",
                                  Described(job.requirements()), "; it waits for one that has"));
  }
  for (std::string& warning : WarningsFor(job)) job.add_warnings(std::move(warning));
}

void Admission::WarnOfOldWorkers(v1::Job& job) const {
  const int needed = SpecRevisionOf(job);
  if (needed == 0) return;
  const auto known = known_revision_();
  if (!known || *known >= needed) return;
  job.add_warnings(
      "when the job was created, no worker knew all of its settings; it waits for a worker of a "
      "newer version");
}

absl::StatusOr<v1::Job> Admission::Retry(const JobName& name, const std::string& etag) {
  ASSIGN_OR_RETURN(const v1::Job job, jobs_.Get(name));
  RETURN_IF_ERROR(quota_.Reserve(name.tenant, 0).status());
  for (const std::string& used : ModelsOf(job)) {
    ASSIGN_OR_RETURN(const ModelName model, ParseModelName(used));
    if (!model.is_base()) RETURN_IF_ERROR(jobs_.GetModel(model).status());
  }
  return jobs_.Retry(name, etag, KeepsBlobs());
}

JobStore::IsStored Admission::KeepsBlobs() {
  return [this](const std::string& blob) {
    const auto parsed = ParseBlobName(blob);
    return parsed.ok() && blobs_.Keep(*parsed).ok();
  };
}

absl::Status Admission::Check(const v1::CreateJobRequest& request) const {
  FieldChecker checker;
  CheckCreateRequest(request, checker);
  const v1::Job& job = request.job();
  if (job.has_fine_tune()) CheckFineTune(job.fine_tune(), "job.fine_tune", limits_, checker);
  if (job.has_generate()) CheckGenerate(job.generate(), "job.generate", limits_, checker);
  if (job.has_evaluate()) CheckEvaluate(job.evaluate(), "job.evaluate", limits_, checker);
  if (job.has_export_model()) CheckExport(job.export_model(), "job.export_model", checker);
  if (job.has_import_model()) CheckImport(job.import_model(), "job.import_model", checker);
  if (static_cast<int64_t>(request.ByteSizeLong()) > limits_.max_request_bytes) {
    checker.Add("job",
                absl::StrCat("the request has ", request.ByteSizeLong(), " bytes; at most ",
                             limits_.max_request_bytes, " are allowed; upload photos as blobs"),
                "REQUEST_TOO_LARGE", {{"limit", absl::StrCat(limits_.max_request_bytes)}});
  }
  return checker.status();
}

absl::Status Admission::CheckAgainstDefaults(const v1::FineTuneSpec& spec) {
  const bool takes_default_token = spec.subjects_size() > 1 && !SubjectOf(spec).has_token();
  if (spec.training().optimizer() != v1::OPTIMIZER_PRODIGY && !takes_default_token &&
      !LoraOf(spec).has_min_rank()) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto offered, jobs_.BaseModels());
  const v1::BaseModel* base = FindOffer(offered, spec.base_model());
  if (base == nullptr) return absl::OkStatus();  // it went away just now
  const v1::FineTuneSpec* defaults = DefaultsFor(spec, *base);
  FieldChecker checker;
  CheckProdigy(spec, defaults == nullptr ? nullptr : &defaults->training(), "job.fine_tune",
               checker);
  const bool of_method = defaults != nullptr && SubjectOf(*defaults).has_token();
  CheckTokensDiffer(spec, of_method ? SubjectOf(*defaults).token() : base->default_token(),
                    "job.fine_tune", checker);
  CheckMinRank(spec, defaults, "job.fine_tune", checker);
  return checker.status();
}

absl::Status Admission::ResolveFineTune(Request& request, v1::Job& job) {
  v1::FineTuneSpec& spec = *job.mutable_fine_tune();
  RETURN_IF_ERROR(CheckInitialModel(request, spec));
  RETURN_IF_ERROR(ResolveBaseModel(spec.mutable_base_model(), "job.fine_tune.base_model"));
  if (spec.method_case() == v1::FineTuneSpec::METHOD_NOT_SET) spec.mutable_dreambooth();
  RETURN_IF_ERROR(CheckAgainstDefaults(spec));
  if (spec.training().micro_conditioning()) {
    RETURN_IF_ERROR(CheckMicroConditioning(job, spec.base_model(),
                                           "job.fine_tune.training.micro_conditioning"));
  }
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const v1::Subject& subject = spec.subjects(i);
    const std::string path = absl::StrCat("job.fine_tune.subjects[", i, "]");
    RETURN_IF_ERROR(request.photos.CheckAll(subject.photos(), path + ".photos"));
    RETURN_IF_ERROR(
        request.photos.CheckAll(subject.validation_photos(), path + ".validation_photos"));
  }
  RETURN_IF_ERROR(
      request.photos.CheckAll(spec.prior().class_photos(), "job.fine_tune.prior.class_photos"));
  if (MustBeJudged(spec)) RETURN_IF_ERROR(CheckJudged(spec.base_model(), MeasuresNeeded(spec)));
  return absl::OkStatus();
}

absl::Status Admission::ResolveGenerate(Request& request, v1::Job& job) {
  v1::GenerateSpec& spec = *job.mutable_generate();
  RETURN_IF_ERROR(ResolveSelection(request, "job.generate.model", *spec.mutable_model()));
  RETURN_IF_ERROR(request.adapters.CheckPrompts(spec));
  if (spec.has_micro_conditioning()) {
    std::string base = spec.model().name();
    ASSIGN_OR_RETURN(const ModelName model, ParseModelName(base, "job.generate.model.name"));
    if (!model.is_base()) {
      ASSIGN_OR_RETURN(const v1::Model made,
                       request.adapters.FindModel(base, "job.generate.model.name"));
      base = made.base_model();
    }
    RETURN_IF_ERROR(CheckMicroConditioning(job, base, "job.generate.micro_conditioning"));
  }
  if (!spec.has_image_to_image()) return absl::OkStatus();
  return request.photos.CheckStart(spec.image_to_image(), "job.generate.image_to_image");
}

absl::Status Admission::ResolveEvaluate(Request& request, v1::Job& job) {
  v1::EvaluateSpec& spec = *job.mutable_evaluate();
  const std::string path = "job.evaluate.model";
  RETURN_IF_ERROR(ResolveSelection(request, path, *spec.mutable_model()));
  ASSIGN_OR_RETURN(const ModelName model, ParseModelName(spec.model().name(), path + ".name"));
  if (model.is_base() && spec.model().adapters().empty()) {
    return InvalidField(path + ".name",
                        "is a base model; a personalized model, tenants/{tenant}/models/{model}, "
                        "is required",
                        "INVALID_NAME");
  }
  std::string base = spec.model().name();
  if (!model.is_base()) {
    ASSIGN_OR_RETURN(const v1::Model made,
                     request.adapters.FindModel(spec.model().name(), path + ".name"));
    base = made.base_model();
  }
  RETURN_IF_ERROR(CheckJudged(base, MeasuresNeeded(spec)));
  RETURN_IF_ERROR(CheckEtas(job));
  RETURN_IF_ERROR(CheckNetworks(job));
  RETURN_IF_ERROR(request.photos.CheckAll(spec.photos(), "job.evaluate.photos"));
  return request.photos.CheckAll(spec.gallery(), "job.evaluate.gallery");
}

absl::Status Admission::ResolveSelection(Request& request, const std::string& path,
                                         v1::ModelSelection& selection) {
  std::string& name = *selection.mutable_name();
  std::optional<v1::Model> personalized;
  if (!name.empty()) {
    ASSIGN_OR_RETURN(const ModelName model, ParseModelName(name, path + ".name"));
    if (!model.is_base()) {
      ASSIGN_OR_RETURN(personalized, request.adapters.FindModel(name, path + ".name"));
      if (personalized->kind() == v1::MODEL_KIND_ADAPTER) {
        MoveToAdapters(selection);
        personalized.reset();
        FieldChecker checker;
        checker.AtMost(path + ".adapters", selection.adapters_size(),
                       "adapters with the one that is named as the model", kMaxAdapters,
                       "OUT_OF_RANGE");
        RETURN_IF_ERROR(checker.status());
      }
    }
  }
  RETURN_IF_ERROR(request.adapters.Check(path, personalized, selection));
  if (personalized) return absl::OkStatus();
  return ResolveBaseModel(&name, path + ".name");
}

absl::Status Admission::ResolveBaseModel(std::string* model, const std::string& field) {
  if (!model->empty()) {
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName(*model, field));
    if (!name.is_base()) {
      return InvalidField(
          field, "is a personalized model; a base model, baseModels/{base_model}, is required",
          "INVALID_NAME");
    }
  }
  ASSIGN_OR_RETURN(auto offered, jobs_.BaseModels());
  if (offered.empty()) {
    return RpcError(
        absl::StatusCode::kFailedPrecondition, "NO_BASE_MODELS",
        "no worker offers a base model; start a worker: likeness-worker serve --models DIR");
  }
  if (model->empty()) {
    if (offered.size() > 1) {
      return RpcError(absl::StatusCode::kFailedPrecondition, "BASE_MODEL_AMBIGUOUS",
                      absl::StrCat(field, " may be left out only where one base model is offered; ",
                                   Names(offered), " are"),
                      {{"field", field}});
    }
    *model = offered.front().name();
    return absl::OkStatus();
  }
  if (FindOffer(offered, *model) != nullptr) return absl::OkStatus();
  return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                  absl::StrCat("no worker offers ", *model, "; offered: ", Names(offered)),
                  {{"resource", *model}});
}

}  // namespace likeness::server
