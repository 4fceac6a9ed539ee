// Turns a client's request into a job that can be run: checks it, stores what it has inline as
// blobs, draws its seeds, and hands it to the store.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "likeness/v1/job_service.pb.h"
#include "server/blobs/blob_quota.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/adapter_checks.h"
#include "server/jobs/job_store.h"
#include "server/jobs/limits.h"
#include "server/jobs/photo_blobs.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {

// Thread-safe; blocks.
class Admission {
 public:
  // Whether a tenant's job may name the webhook.
  using WebhookCheck = std::function<absl::Status(const std::string& tenant, const v1::Webhook&)>;

  // The newest revision of the specs (common/spec_revision.h) that a worker of late knows; nothing
  // if there was none.
  using KnownRevision = std::function<std::optional<int>()>;

  // Whether a worker that offered the base model of late judges by all of these measures.
  using FindJudge = std::function<bool(const std::string& base, const std::vector<v1::Measure>&)>;

  // Whether one of the workers may have what a job requires; false only if it is known that none
  // has.
  using MayMeet = std::function<bool(const v1::Requirements&)>;

  // Whether a worker may have a network (common/networks.h) for jobs with the base model, or with
  // any where that is empty; false only if it is known that none has.
  using MayHaveNetwork = std::function<bool(const std::string& base, absl::string_view method)>;

  // The stores and the quota must outlive this.
  Admission(JobStore& jobs, BlobStore& blobs, BlobQuota& quota, const Limits& limits,
            WebhookCheck check_webhook, KnownRevision known_revision, FindJudge find_judge,
            MayMeet may_meet, MayHaveNetwork may_have_network)
      : jobs_(jobs),
        blobs_(blobs),
        quota_(quota),
        limits_(limits),
        check_webhook_(std::move(check_webhook)),
        known_revision_(std::move(known_revision)),
        find_judge_(std::move(find_judge)),
        may_meet_(std::move(may_meet)),
        may_have_network_(std::move(may_have_network)) {}

  // Errors besides those of JobStore::Create: INVALID_ARGUMENT with the fields that are wrong;
  // NOT_FOUND (MODEL_NOT_FOUND); FAILED_PRECONDITION (NO_BASE_MODELS, NO_EVALUATORS,
  // MODEL_NOT_READY, BASE_MODEL_AMBIGUOUS); those of the webhook's check and of BlobQuota::Reserve.
  // With validate_only nothing is stored and nothing drawn.
  absl::StatusOr<v1::Job> Create(const std::string& tenant, const v1::CreateJobRequest& request);

  // Puts a job that ended back into the queue. Errors besides those of JobStore::Retry: those of
  // JobStore::GetModel for the model that it draws with.
  absl::StatusOr<v1::Job> Retry(const JobName& name, const std::string& etag);

 private:
  // What one request of a tenant names, each looked up once.
  struct Request {
    const std::string& tenant;
    PhotoBlobs photos;
    AdapterChecks adapters;
  };
  // Whether a blob is there; it is kept once more.
  JobStore::IsStored KeepsBlobs();
  absl::Status Check(const v1::CreateJobRequest& request) const;
  // The job with its names, its models looked up and its photos checked; nothing is stored yet. An
  // empty id leaves out the names that would be made of it.
  absl::StatusOr<v1::Job> Resolve(const std::string& tenant, const v1::Job& said,
                                  const std::string& id);
  // What is odd about a job whose photos are blobs, or keeps it waiting.
  void AddWarnings(v1::Job& job) const;
  // Says so if none of the workers knows all that the job's spec uses.
  void WarnOfOldWorkers(v1::Job& job) const;
  absl::Status ResolveFineTune(Request& request, v1::Job& job);
  // What clashes with what the base model recommends. Of a spec that names its base model and
  // method.
  absl::Status CheckAgainstDefaults(const v1::FineTuneSpec& spec);
  // The adapter that the training goes on from, if any: of the same method and base model, which is
  // filled in where the spec names none.
  absl::Status CheckInitialModel(Request& request, v1::FineTuneSpec& spec);
  absl::Status ResolveGenerate(Request& request, v1::Job& job);
  // NO_EVALUATORS if no worker judges what is drawn with the base model by these measures.
  absl::Status CheckJudged(const std::string& base, const std::vector<v1::Measure>& measures);
  // What says an eta and leaves the sampler to the base model, which is filled in, where that
  // recommends one without eta.
  absl::Status CheckEtas(const v1::Job& job) const;
  // Of a job that sets micro-conditioning in `field`: that the base model, which is filled in, is
  // offered with such a setting. What offers do not say, those of older workers, is left to these.
  absl::Status CheckMicroConditioning(const v1::Job& job, const std::string& base_model,
                                      const std::string& field) const;
  // NO_EVALUATORS if it is known that no worker has a network that the job, whose model is filled
  // in, needs.
  absl::Status CheckNetworks(const v1::Job& job) const;
  absl::Status ResolveEvaluate(Request& request, v1::Job& job);
  // What cannot be merged, or adds nothing, is refused.
  absl::Status ResolveExport(Request& request, v1::Job& job);
  // `path`: of the selection in the request. Fills in the base model where that is to be used.
  absl::Status ResolveSelection(Request& request, const std::string& path,
                                v1::ModelSelection& selection);
  // Fills in the only base model, or checks the one that is named.
  absl::Status ResolveBaseModel(std::string* model, const std::string& field);
  // Names the model that it makes after the job of this id where it names none. FILE_UNUSABLE for a
  // file that is no safetensors file, or holds a whole model.
  absl::Status ResolveImport(const std::string& tenant, const std::string& id, v1::Job& job);
  // Replaces what the job has inline by blobs; with `store`, they are there afterwards.
  absl::Status InlineToBlobs(const std::string& tenant, bool store, v1::Job& job);

  JobStore& jobs_;
  BlobStore& blobs_;
  BlobQuota& quota_;
  const Limits limits_;
  const WebhookCheck check_webhook_;
  const KnownRevision known_revision_;
  const FindJudge find_judge_;
  const MayMeet may_meet_;
  const MayHaveNetwork may_have_network_;
};

}  // namespace likeness::server
