#include "server/metrics/measured_job_store.h"

#include "common/clock.h"

namespace likeness::server {
namespace {

template <typename Call>
auto Timed(Metrics& metrics, StoreOperation operation, const Call& call) {
  const absl::Time start = SteadyNow();
  auto result = call();
  metrics.ObserveStore(operation, SteadyNow() - start);
  return result;
}

}  // namespace

absl::StatusOr<v1::Job> MeasuredJobStore::Create(const NewJob& job) {
  return Timed(metrics_, StoreOperation::kCreate, [&] { return store_.Create(job); });
}

absl::Status MeasuredJobStore::CheckNames(const v1::Job& job) {
  return Timed(metrics_, StoreOperation::kCheckNames, [&] { return store_.CheckNames(job); });
}

absl::StatusOr<std::optional<v1::Job>> MeasuredJobStore::FindRequest(
    const std::string& tenant, const std::string& request_id, const std::string& fingerprint) {
  return Timed(metrics_, StoreOperation::kFindRequest,
               [&] { return store_.FindRequest(tenant, request_id, fingerprint); });
}

absl::StatusOr<v1::Job> MeasuredJobStore::Get(const JobName& name) {
  return Timed(metrics_, StoreOperation::kGet, [&] { return store_.Get(name); });
}

absl::StatusOr<JobSnapshot> MeasuredJobStore::Snapshot(const JobName& name) {
  return Timed(metrics_, StoreOperation::kSnapshot, [&] { return store_.Snapshot(name); });
}

absl::StatusOr<JobPage> MeasuredJobStore::List(const std::string& tenant, const JobQuery& query) {
  return Timed(metrics_, StoreOperation::kList, [&] { return store_.List(tenant, query); });
}

absl::StatusOr<v1::Job> MeasuredJobStore::Update(const JobName& name, const JobUpdate& update,
                                                 const std::string& etag) {
  return Timed(metrics_, StoreOperation::kUpdate,
               [&] { return store_.Update(name, update, etag); });
}

absl::StatusOr<v1::Job> MeasuredJobStore::Cancel(const JobName& name, const std::string& etag) {
  return Timed(metrics_, StoreOperation::kCancel, [&] { return store_.Cancel(name, etag); });
}

absl::StatusOr<v1::Job> MeasuredJobStore::Retry(const JobName& name, const std::string& etag,
                                                const IsStored& stored) {
  return Timed(metrics_, StoreOperation::kRetry, [&] { return store_.Retry(name, etag, stored); });
}

absl::Status MeasuredJobStore::Delete(const JobName& name, const std::string& etag) {
  return Timed(metrics_, StoreOperation::kDelete, [&] { return store_.Delete(name, etag); });
}

absl::StatusOr<std::vector<v1::JobEvent>> MeasuredJobStore::EventsAfter(const JobName& name,
                                                                        int64_t key, int64_t after,
                                                                        int limit) {
  return Timed(metrics_, StoreOperation::kEventsAfter,
               [&] { return store_.EventsAfter(name, key, after, limit); });
}

absl::StatusOr<std::vector<v1::JobEvent>> MeasuredJobStore::KeptEvents(const JobName& name,
                                                                       int64_t key, int64_t after,
                                                                       int limit) {
  return Timed(metrics_, StoreOperation::kKeptEvents,
               [&] { return store_.KeptEvents(name, key, after, limit); });
}

absl::StatusOr<v1::Model> MeasuredJobStore::GetModel(const ModelName& personalized) {
  return Timed(metrics_, StoreOperation::kGetModel, [&] { return store_.GetModel(personalized); });
}

absl::StatusOr<ModelPage> MeasuredJobStore::ListModels(const std::string& tenant,
                                                       const std::string& after, int limit) {
  return Timed(metrics_, StoreOperation::kListModels,
               [&] { return store_.ListModels(tenant, after, limit); });
}

absl::StatusOr<v1::Model> MeasuredJobStore::UpdateModel(const ModelName& personalized,
                                                        const v1::UpdateModelRequest& request) {
  return Timed(metrics_, StoreOperation::kUpdateModel,
               [&] { return store_.UpdateModel(personalized, request); });
}

absl::Status MeasuredJobStore::DeleteModel(const ModelName& personalized) {
  return Timed(metrics_, StoreOperation::kDeleteModel,
               [&] { return store_.DeleteModel(personalized); });
}

absl::StatusOr<std::optional<v1::Lease>> MeasuredJobStore::Acquire(
    const v1::AcquireLeaseRequest& offer) {
  return Timed(metrics_, StoreOperation::kAcquire, [&] { return store_.Acquire(offer); });
}

absl::StatusOr<LeasedJob> MeasuredJobStore::FindLease(const std::string& lease_token) {
  return Timed(metrics_, StoreOperation::kFindLease, [&] { return store_.FindLease(lease_token); });
}

absl::StatusOr<LeaseTerms> MeasuredJobStore::Renew(const v1::HeartbeatRequest& news) {
  return Timed(metrics_, StoreOperation::kRenew, [&] { return store_.Renew(news); });
}

absl::Status MeasuredJobStore::Complete(const v1::CompleteLeaseRequest& outcome) {
  return Timed(metrics_, StoreOperation::kComplete, [&] { return store_.Complete(outcome); });
}

absl::Status MeasuredJobStore::Fail(const v1::FailLeaseRequest& failure) {
  return Timed(metrics_, StoreOperation::kFail, [&] { return store_.Fail(failure); });
}

absl::Status MeasuredJobStore::Release(const v1::ReleaseLeaseRequest& release) {
  return Timed(metrics_, StoreOperation::kRelease, [&] { return store_.Release(release); });
}

absl::StatusOr<int> MeasuredJobStore::ExpireLeases() {
  return Timed(metrics_, StoreOperation::kExpireLeases, [&] { return store_.ExpireLeases(); });
}

absl::Status MeasuredJobStore::FollowDate() {
  return Timed(metrics_, StoreOperation::kFollowDate, [&] { return store_.FollowDate(); });
}

absl::StatusOr<int> MeasuredJobStore::TimeOutJobs() {
  return Timed(metrics_, StoreOperation::kTimeOutJobs, [&] { return store_.TimeOutJobs(); });
}

absl::StatusOr<Swept> MeasuredJobStore::Sweep() {
  return Timed(metrics_, StoreOperation::kSweep, [&] { return store_.Sweep(); });
}

absl::Status MeasuredJobStore::ExtendLeases() {
  return Timed(metrics_, StoreOperation::kExtendLeases, [&] { return store_.ExtendLeases(); });
}

absl::Status MeasuredJobStore::OfferBaseModels(const std::vector<v1::BaseModel>& models) {
  return Timed(metrics_, StoreOperation::kOfferBaseModels,
               [&] { return store_.OfferBaseModels(models); });
}

absl::StatusOr<std::vector<v1::BaseModel>> MeasuredJobStore::BaseModels() {
  return Timed(metrics_, StoreOperation::kBaseModels, [&] { return store_.BaseModels(); });
}

absl::StatusOr<Erased> MeasuredJobStore::EraseModel(const ModelName& personalized) {
  return Timed(metrics_, StoreOperation::kEraseModel,
               [&] { return store_.EraseModel(personalized); });
}

absl::StatusOr<Erased> MeasuredJobStore::EraseJob(const JobName& name, const std::string& etag) {
  return Timed(metrics_, StoreOperation::kEraseJob, [&] { return store_.EraseJob(name, etag); });
}

absl::StatusOr<std::vector<BlobToErase>> MeasuredJobStore::BlobsToErase(int limit) {
  return Timed(metrics_, StoreOperation::kBlobsToErase, [&] { return store_.BlobsToErase(limit); });
}

absl::Status MeasuredJobStore::DropBlobsToErase(const std::vector<BlobToErase>& blobs) {
  return Timed(metrics_, StoreOperation::kDropBlobsToErase,
               [&] { return store_.DropBlobsToErase(blobs); });
}

absl::StatusOr<std::vector<ErasedModel>> MeasuredJobStore::ErasedModels(int64_t after, int limit) {
  return Timed(metrics_, StoreOperation::kErasedModels,
               [&] { return store_.ErasedModels(after, limit); });
}

absl::StatusOr<std::vector<DeviceRates>> MeasuredJobStore::MeasuredRates(
    const std::string& digest, const std::string& method) {
  return Timed(metrics_, StoreOperation::kMeasuredRates,
               [&] { return store_.MeasuredRates(digest, method); });
}

absl::StatusOr<std::vector<HeldJob>> MeasuredJobStore::HeldJobs(int limit) {
  return Timed(metrics_, StoreOperation::kHeldJobs, [&] { return store_.HeldJobs(limit); });
}

absl::StatusOr<std::vector<QueueGroup>> MeasuredJobStore::QueueGroups(int limit) {
  return Timed(metrics_, StoreOperation::kQueueGroups, [&] { return store_.QueueGroups(limit); });
}

absl::StatusOr<int64_t> MeasuredJobStore::CountWaiting() {
  return Timed(metrics_, StoreOperation::kCountWaiting, [&] { return store_.CountWaiting(); });
}

absl::StatusOr<std::vector<UsedDay>> MeasuredJobStore::Usage(const std::string& tenant, int days) {
  return Timed(metrics_, StoreOperation::kUsage, [&] { return store_.Usage(tenant, days); });
}

absl::StatusOr<std::vector<DrainedWorker>> MeasuredJobStore::DrainedWorkers() {
  return Timed(metrics_, StoreOperation::kDrainedWorkers, [&] { return store_.DrainedWorkers(); });
}

absl::Status MeasuredJobStore::DrainWorker(const DrainedWorker& worker) {
  return Timed(metrics_, StoreOperation::kDrainWorker, [&] { return store_.DrainWorker(worker); });
}

absl::Status MeasuredJobStore::UndrainWorker(const std::string& worker) {
  return Timed(metrics_, StoreOperation::kUndrainWorker,
               [&] { return store_.UndrainWorker(worker); });
}

absl::StatusOr<WebhookPage> MeasuredJobStore::DueWebhookCalls(const WebhookQuery& query) {
  return Timed(metrics_, StoreOperation::kDueWebhookCalls,
               [&] { return store_.DueWebhookCalls(query); });
}

absl::Status MeasuredJobStore::RecordWebhookCalls(const std::vector<WebhookVerdict>& verdicts) {
  return Timed(metrics_, StoreOperation::kRecordWebhookCalls,
               [&] { return store_.RecordWebhookCalls(verdicts); });
}

absl::StatusOr<int64_t> MeasuredJobStore::CountWebhookCalls() {
  return Timed(metrics_, StoreOperation::kCountWebhookCalls,
               [&] { return store_.CountWebhookCalls(); });
}

absl::StatusOr<std::vector<JobCount>> MeasuredJobStore::CountJobs() {
  return Timed(metrics_, StoreOperation::kCountJobs, [&] { return store_.CountJobs(); });
}

absl::StatusOr<TenantsAtQuota> MeasuredJobStore::CountTenantsAtQuota() {
  return Timed(metrics_, StoreOperation::kCountTenantsAtQuota,
               [&] { return store_.CountTenantsAtQuota(); });
}

absl::Status MeasuredJobStore::VisitBlobs(absl::FunctionRef<void(const NamedBlob&)> visit) {
  return Timed(metrics_, StoreOperation::kVisitBlobs, [&] { return store_.VisitBlobs(visit); });
}

absl::Status MeasuredJobStore::CheckWritable() {
  return Timed(metrics_, StoreOperation::kCheckWritable, [&] { return store_.CheckWritable(); });
}

absl::Status MeasuredJobStore::CheckWhole() {
  return Timed(metrics_, StoreOperation::kCheckWhole, [&] { return store_.CheckWhole(); });
}

absl::StatusOr<AuditLines> MeasuredJobStore::ReadAuditLines(int limit) {
  return Timed(metrics_, StoreOperation::kReadAuditLines,
               [&] { return store_.ReadAuditLines(limit); });
}

absl::Status MeasuredJobStore::DropAuditLines(int64_t last) {
  return Timed(metrics_, StoreOperation::kDropAuditLines,
               [&] { return store_.DropAuditLines(last); });
}

absl::StatusOr<int64_t> MeasuredJobStore::CountAuditLines() {
  return Timed(metrics_, StoreOperation::kCountAuditLines,
               [&] { return store_.CountAuditLines(); });
}

absl::Status MeasuredJobStore::CommitNote() {
  return Timed(metrics_, StoreOperation::kCommitNote, [&] { return store_.CommitNote(); });
}

}  // namespace likeness::server
