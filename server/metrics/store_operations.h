// The operations of a job store, as metrics name them.
#pragma once

namespace likeness::server {

// One list for both.
// clang-format off
#define LIKENESS_STORE_OPERATIONS(X) \
  X(Create) \
  X(CheckNames) \
  X(FindRequest) \
  X(Get) \
  X(Snapshot) \
  X(List) \
  X(Update) \
  X(Cancel) \
  X(Retry) \
  X(Delete) \
  X(EventsAfter) \
  X(KeptEvents) \
  X(GetModel) \
  X(ListModels) \
  X(UpdateModel) \
  X(DeleteModel) \
  X(Acquire) \
  X(FindLease) \
  X(Renew) \
  X(Complete) \
  X(Fail) \
  X(Release) \
  X(ExpireLeases) \
  X(FollowDate) \
  X(TimeOutJobs) \
  X(Sweep) \
  X(ExtendLeases) \
  X(OfferBaseModels) \
  X(BaseModels) \
  X(EraseModel) \
  X(EraseJob) \
  X(BlobsToErase) \
  X(DropBlobsToErase) \
  X(ErasedModels) \
  X(MeasuredRates) \
  X(HeldJobs) \
  X(QueueGroups) \
  X(CountWaiting) \
  X(Usage) \
  X(DrainedWorkers) \
  X(DrainWorker) \
  X(UndrainWorker) \
  X(DueWebhookCalls) \
  X(RecordWebhookCalls) \
  X(CountWebhookCalls) \
  X(CountJobs) \
  X(CountTenantsAtQuota) \
  X(VisitBlobs) \
  X(CheckWritable) \
  X(CheckWhole) \
  X(ReadAuditLines) \
  X(DropAuditLines) \
  X(CountAuditLines) \
  X(CommitNote)
// clang-format on

enum class StoreOperation {
#define X(name) k##name,
  LIKENESS_STORE_OPERATIONS(X)
#undef X
};
inline constexpr const char* kStoreOperations[] = {
#define X(name) #name,
    LIKENESS_STORE_OPERATIONS(X)
#undef X
};

}  // namespace likeness::server
