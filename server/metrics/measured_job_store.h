// A job store whose every call is timed: what the store costs, by operation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/jobs/job_store.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

class MeasuredJobStore : public JobStore {
 public:
  // Both must outlive this.
  MeasuredJobStore(JobStore& store, Metrics& metrics) : store_(store), metrics_(metrics) {}

  absl::StatusOr<v1::Job> Create(const NewJob& job) override;
  absl::Status CheckNames(const v1::Job& job) override;
  absl::StatusOr<std::optional<v1::Job>> FindRequest(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& fingerprint) override;
  absl::StatusOr<v1::Job> Get(const JobName& name) override;
  absl::StatusOr<JobSnapshot> Snapshot(const JobName& name) override;
  absl::StatusOr<JobPage> List(const std::string& tenant, const JobQuery& query) override;
  absl::StatusOr<v1::Job> Update(const JobName& name, const JobUpdate& update,
                                 const std::string& etag) override;
  absl::StatusOr<v1::Job> Cancel(const JobName& name, const std::string& etag) override;
  absl::StatusOr<v1::Job> Retry(const JobName& name, const std::string& etag,
                                const IsStored& stored) override;
  absl::Status Delete(const JobName& name, const std::string& etag) override;
  absl::StatusOr<std::vector<v1::JobEvent>> EventsAfter(const JobName& name, int64_t key,
                                                        int64_t after, int limit) override;
  absl::StatusOr<std::vector<v1::JobEvent>> KeptEvents(const JobName& name, int64_t key,
                                                       int64_t after, int limit) override;
  absl::StatusOr<v1::Model> GetModel(const ModelName& personalized) override;
  absl::StatusOr<ModelPage> ListModels(const std::string& tenant, const std::string& after,
                                       int limit) override;
  absl::StatusOr<v1::Model> UpdateModel(const ModelName& personalized,
                                        const v1::UpdateModelRequest& request) override;
  absl::Status DeleteModel(const ModelName& personalized) override;
  absl::StatusOr<std::optional<v1::Lease>> Acquire(const v1::AcquireLeaseRequest& offer) override;
  absl::StatusOr<LeasedJob> FindLease(const std::string& lease_token) override;
  absl::StatusOr<LeaseTerms> Renew(const v1::HeartbeatRequest& news) override;
  absl::Status Complete(const v1::CompleteLeaseRequest& outcome) override;
  absl::Status Fail(const v1::FailLeaseRequest& failure) override;
  absl::Status Release(const v1::ReleaseLeaseRequest& release) override;
  absl::StatusOr<int> ExpireLeases() override;
  absl::Status FollowDate() override;
  absl::StatusOr<int> TimeOutJobs() override;
  absl::StatusOr<Swept> Sweep() override;
  absl::Status ExtendLeases() override;
  absl::Status OfferBaseModels(const std::vector<v1::BaseModel>& models) override;
  absl::StatusOr<std::vector<v1::BaseModel>> BaseModels() override;
  absl::StatusOr<Erased> EraseModel(const ModelName& personalized) override;
  absl::StatusOr<Erased> EraseJob(const JobName& name, const std::string& etag) override;
  absl::StatusOr<std::vector<BlobToErase>> BlobsToErase(int limit) override;
  absl::Status DropBlobsToErase(const std::vector<BlobToErase>& blobs) override;
  absl::StatusOr<std::vector<ErasedModel>> ErasedModels(int64_t after, int limit) override;
  absl::StatusOr<std::vector<DeviceRates>> MeasuredRates(const std::string& digest,
                                                         const std::string& method) override;
  absl::StatusOr<std::vector<HeldJob>> HeldJobs(int limit) override;
  absl::StatusOr<std::vector<QueueGroup>> QueueGroups(int limit) override;
  absl::StatusOr<int64_t> CountWaiting() override;
  absl::StatusOr<std::vector<UsedDay>> Usage(const std::string& tenant, int days) override;
  absl::StatusOr<std::vector<DrainedWorker>> DrainedWorkers() override;
  absl::Status DrainWorker(const DrainedWorker& worker) override;
  absl::Status UndrainWorker(const std::string& worker) override;
  absl::StatusOr<WebhookPage> DueWebhookCalls(const WebhookQuery& query) override;
  absl::Status RecordWebhookCalls(const std::vector<WebhookVerdict>& verdicts) override;
  absl::StatusOr<int64_t> CountWebhookCalls() override;
  absl::StatusOr<std::vector<JobCount>> CountJobs() override;
  absl::StatusOr<TenantsAtQuota> CountTenantsAtQuota() override;
  absl::Status VisitBlobs(absl::FunctionRef<void(const NamedBlob&)> visit) override;
  absl::Status CheckWritable() override;
  absl::Status CheckWhole() override;
  absl::StatusOr<AuditLines> ReadAuditLines(int limit) override;
  absl::Status DropAuditLines(int64_t last) override;
  absl::StatusOr<int64_t> CountAuditLines() override;
  absl::Status CommitNote() override;
  const std::string& signing_key() const override { return store_.signing_key(); }

 private:
  JobStore& store_;
  Metrics& metrics_;
};

}  // namespace likeness::server
