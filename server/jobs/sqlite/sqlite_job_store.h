// The job store in one SQLite file: the default, for one server. Never put the file on a network
// file system.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "server/jobs/job_store.h"
#include "server/jobs/policies/attempts.h"
#include "server/jobs/policies/choice.h"
#include "server/jobs/policies/retention.h"
#include "server/jobs/quota.h"
#include "server/jobs/sqlite/base_model_table.h"
#include "server/jobs/sqlite/damaged_jobs.h"
#include "server/jobs/sqlite/erasure_table.h"
#include "server/jobs/sqlite/forecast_cache.h"
#include "server/jobs/sqlite/read_pool.h"
#include "server/jobs/sqlite/record_table.h"
#include "server/jobs/sqlite/store_clock.h"
#include "server/jobs/sqlite/writer.h"

namespace likeness::server {

struct SqliteJobStoreOptions {
  std::string path;
  bool was_there = false;  // one that is missing or empty is damaged, not new
  LeasePolicy lease;
  RetryPolicy retry;
  QueuePolicy queue;
  RetentionPolicy retention;
  absl::Duration offer_lifetime = 7 * absl::Hours(24);  // of a base model, if it is not repeated
  absl::Duration list_patience = absl::Seconds(2);      // what a page of a list may cost at most
  JobQuotas quotas = [](const std::string&) { return JobQuota(); };
  JobStore::Listener listener = [](const JobChange&) {};
};

class SqliteJobStore : public JobStore {
 public:
  // `clock` must outlive the store.
  static absl::StatusOr<std::unique_ptr<SqliteJobStore>> Open(const SqliteJobStoreOptions& options,
                                                              const Clock& clock);

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
  absl::StatusOr<int> TimeOutJobs() override;
  absl::StatusOr<Swept> Sweep() override;
  absl::Status ExtendLeases() override;
  absl::Status FollowDate() override;
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
  const std::string& signing_key() const override { return signing_key_; }

 private:
  SqliteJobStore(const SqliteJobStoreOptions& options, const StoreClock& clock,
                 std::unique_ptr<Database> database, std::string signing_key, int64_t last_commit);

  absl::StatusOr<std::vector<v1::JobEvent>> ReadShownEvents(Database& database, int64_t key,
                                                            int64_t after, int limit) const;

  // Writes as one transaction what may change who waits and who runs.
  absl::Status Write(absl::FunctionRef<absl::Status(Transaction&)> work);

  // Completes a stored job with what is told when asked for.
  v1::Job Shown(v1::Job job) const;
  // Tells jobs that wait their places, all under one forecast.
  std::function<absl::Status(const QueuePlace&, v1::Job&)> PlaceTeller();

  // The same again without the jobs that turn out to be damaged.
  absl::Status WriteAround(absl::FunctionRef<absl::Status(Transaction&)> work);

  // After a change of a job that took `before` bytes of what its tenant keeps (KeptBytes).
  absl::Status NoteKept(Transaction& transaction, const JobRecord& record,
                        std::optional<int64_t> before);
  // Loads the record and forgets it; where it is damaged, that is noted.
  absl::Status ForgetKey(Transaction& transaction, int64_t key);
  // The record, and word of it to those who look at it.
  absl::Status Forget(Transaction& transaction, const JobRecord& record);
  // All of it; see EraseModel.
  absl::StatusOr<Erased> ForgetSubject(Transaction& transaction, const SubjectRecords& subject);

  // Loads the record, lets `change` change it, saves it, and notes what changed.
  using Change = absl::FunctionRef<absl::Status(JobRecord&, const Moment&)>;
  enum class Kind {
    kChange,
    kLeaseLost,
    kReport,  // of progress and the end of the lease, and nothing else
  };
  absl::Status ChangeRecord(Transaction& transaction, int64_t key, Change change,
                            Kind kind = Kind::kChange);
  absl::Status ChargeSince(Database& database, const std::string& job, absl::Time lease_expire,
                           const Moment& now);
  // The same for the job that a lease token names, as one transaction.
  absl::Status ChangeLeased(const std::string& lease_token, Change change,
                            Kind kind = Kind::kChange);
  v1::Lease LeaseOf(const JobRecord& record, const Moment& now) const;
  static absl::Status AddModels(Database& database, v1::Lease& lease);
  absl::Status LeaseJob(Transaction& transaction, int64_t key,
                        const v1::AcquireLeaseRequest& request, std::optional<v1::Lease>* lease);
  // The lease that an earlier call of this request was granted.
  absl::StatusOr<std::optional<v1::Lease>> GrantedBefore(Database& database,
                                                         const v1::AcquireLeaseRequest& request);

  const SqliteJobStoreOptions options_;
  const StoreClock clock_;
  const std::string signing_key_;
  ReadPool readers_;
  ForecastCache forecasts_;
  DamagedJobs damaged_;
  std::atomic<bool> leased_lately_ = false;  // the last poll of a worker found a job
  std::atomic<int64_t> last_erased_ = 0;     // number of the last model that workers are to erase
  std::optional<absl::Duration> followed_;   // date less the queue's clock; FollowDate's own
  Writer writer_;
  BaseModelTable base_models_;
};

}  // namespace likeness::server
