// Where jobs are kept: durable before a call returns, and every change one transaction with its
// events.
//
// A store holds no rule: what may happen to a job is in transitions.h. All calls block; all are
// thread-safe. Errors that are no caller's fault are RESOURCE_EXHAUSTED (STORAGE_FULL) or INTERNAL
// (STORE_FAILED), or DATA_LOSS (STORE_DAMAGED) for what the disk has not kept.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/resource_names.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/model.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "likeness/v1/worker_service.pb.h"
#include "server/jobs/job_filter.h"
#include "server/jobs/job_update.h"
#include "server/jobs/operations.h"
#include "server/jobs/policies/work.h"
#include "server/jobs/quota.h"
#include "server/jobs/webhook_calls.h"

namespace likeness::server {

// A job that was checked and is about to be accepted.
struct NewJob {
  v1::Job job;              // name, uid, labels, spec, max_attempts, warnings, output_model
  std::string request_id;   // the client's own; empty for none
  std::string fingerprint;  // of the whole request, to notice a request id that is used twice
  // Keeps a photo once more, and tells whether it is still there. Called as the job is accepted,
  // when an erasure before has done its part and one after sees the job; must not call the store.
  std::function<bool(const std::string& blob)> keep = nullptr;
};

// A place in an ordered list of jobs: the last one seen. What the numbers say is the store's own.
struct JobCursor {
  int64_t value = 0;
  int64_t key = 0;
};

struct JobQuery {
  JobFilter filter;
  JobOrder order;
  std::optional<JobCursor> after;  // of the page before, under the same filter and order
  int limit = 50;
};

struct JobPage {
  std::vector<v1::Job> jobs;
  std::vector<int64_t> last_seqs;  // of each job's last event that it shows
  std::optional<JobCursor> next;   // nothing on the last page
};

struct AuditLines {
  std::vector<std::string> lines;
  int64_t last = 0;  // pass to DropAuditLines
};

struct ModelPage {
  std::vector<v1::Model> models;    // by name
  std::optional<std::string> next;  // pass as `after` for the next page; nothing on the last
};

struct JobSnapshot {
  v1::Job job;
  int64_t key = 0;       // the store's own, which no other job ever gets
  int64_t last_seq = 0;  // of the last event that the job shows
};

// What was forgotten of a subject.
struct Erased {
  std::vector<std::string> jobs;
  std::vector<std::string> models;
  std::vector<std::string> blobs;  // that it named; others may name them too
  absl::Time time;                 // when it was forgotten
};

// A blob that an erased subject named, until it is erased or known to be another's too.
struct BlobToErase {
  std::string name;
  absl::Time time;  // who kept it then or later goes on to need it
};

struct ErasedModel {
  int64_t number = 0;  // grows
  v1::LeasedModel model;
};

struct LeaseTerms {
  absl::Time expire_time;
  bool cancel_requested = false;
};

// The job that was leased under a token.
struct LeasedJob {
  JobName name;
  bool live = false;                                    // the lease has neither ended nor run out
  absl::Duration stall_timeout = absl::ZeroDuration();  // the job's own; zero: the server's
  std::string worker{};                                 // that holds it
};

struct JobCount {
  v1::JobState state;
  std::string method;
  int priority = 0;  // of jobs that wait; those that do not are counted together, under 0
  int64_t count = 0;
  // Of jobs that wait, those that no worker gets, however many workers there are:
  int64_t scheduled = 0;   // their time, or that of their next attempt, has not come
  int64_t over_quota = 0;  // their tenant may start no more of them now
};

struct Swept {
  int jobs = 0;    // forgotten
  int events = 0;  // forgotten of jobs that are kept
  bool more = false;
};

// What a commit changed about one job; for whoever waits and for metrics.
struct JobChange {
  std::string name;
  std::string method;
  int64_t key = 0;
  // The events of the change are those after the first seq, up to the last.
  int64_t after_seq = 0;
  int64_t last_seq = 0;
  bool deleted = false;
  v1::JobState from = v1::JOB_STATE_UNSPECIFIED;
  v1::JobState to = v1::JOB_STATE_UNSPECIFIED;  // equal to `from` when only other things changed
  absl::Duration queue_wait = absl::ZeroDuration();  // for PENDING -> RUNNING: since it was created
  absl::Duration run_time = absl::ZeroDuration();    // of a job that ended: over its attempts
  bool lease_lost = false;
  std::string superseded_checkpoint = {};  // a blob that the job needed until now
  bool webhook = false;                    // calls to the job's webhook may have come to wait
  int webhook_calls_dropped = 0;           // of the tenant: more than may wait did
};

// A blob that is named by a job, an event or a model.
struct NamedBlob {
  BlobName name;
  // The checkpoint of a job that failed or was cancelled: when it ended. Only a retry would still
  // want it.
  absl::Time needed_until = absl::InfiniteFuture();
};

class JobStore {
 public:
  using Listener = std::function<void(const JobChange&)>;

  virtual ~JobStore() = default;

  // --- Clients

  // ALREADY_EXISTS: JOB_EXISTS, MODEL_EXISTS (output_model), REQUEST_ID_REUSED. The same request id
  // with the same fingerprint returns the first job. FAILED_PRECONDITION (BLOB_NOT_FOUND): a photo
  // was erased meanwhile.
  virtual absl::StatusOr<v1::Job> Create(const NewJob& job) = 0;

  // What Create would say about the job's name and its model's: ALREADY_EXISTS (JOB_EXISTS,
  // MODEL_EXISTS).
  virtual absl::Status CheckNames(const v1::Job& job) = 0;

  // The job that was created under a request id, if any. ALREADY_EXISTS (REQUEST_ID_REUSED) for
  // another fingerprint.
  virtual absl::StatusOr<std::optional<v1::Job>> FindRequest(const std::string& tenant,
                                                             const std::string& request_id,
                                                             const std::string& fingerprint) = 0;

  // NOT_FOUND: JOB_NOT_FOUND, here and below.
  virtual absl::StatusOr<v1::Job> Get(const JobName& name) = 0;
  virtual absl::StatusOr<JobSnapshot> Snapshot(const JobName& name) = 0;

  // At most query.limit jobs, and about 2 MiB of them. RESOURCE_EXHAUSTED (SEARCH_TOO_LONG) when
  // the filter lets too few jobs through for the time that a list may take.
  virtual absl::StatusOr<JobPage> List(const std::string& tenant, const JobQuery& query) = 0;

  // Changes what a client may change of a job; see transitions.h.
  virtual absl::StatusOr<v1::Job> Update(const JobName& name, const JobUpdate& update,
                                         const std::string& etag) = 0;

  // FAILED_PRECONDITION (JOB_FINISHED), ABORTED (ETAG_MISMATCH).
  virtual absl::StatusOr<v1::Job> Cancel(const JobName& name, const std::string& etag) = 0;

  // Back into the queue; see transitions.h. `stored` tells whether a blob is there, and must not
  // call the store. ALREADY_EXISTS: MODEL_EXISTS.
  using IsStored = std::function<bool(const std::string& blob)>;
  virtual absl::StatusOr<v1::Job> Retry(const JobName& name, const std::string& etag,
                                        const IsStored& stored) = 0;

  // Forgets a job that has ended, its events and its request id; see transitions.h.
  virtual absl::Status Delete(const JobName& name, const std::string& etag) = 0;

  // Events with a seq above `after`, in order, and all of them but progress that later progress has
  // replaced; at most `limit` and about 1 MiB of them. `key` is that of the job's snapshot: another
  // job may have taken the name of one that was deleted. NOT_FOUND (JOB_NOT_FOUND);
  // FAILED_PRECONDITION (RESUME_TOKEN_EXPIRED) when some of them are no longer kept.
  virtual absl::StatusOr<std::vector<v1::JobEvent>> EventsAfter(const JobName& name, int64_t key,
                                                                int64_t after, int limit) = 0;

  // The same, of those events that are still kept.
  virtual absl::StatusOr<std::vector<v1::JobEvent>> KeptEvents(const JobName& name, int64_t key,
                                                               int64_t after, int limit) = 0;

  // NOT_FOUND (MODEL_NOT_FOUND), FAILED_PRECONDITION (MODEL_NOT_READY): the job that makes it has
  // not succeeded yet.
  virtual absl::StatusOr<v1::Model> GetModel(const ModelName& personalized) = 0;

  // Finished models whose ids come after `after`, at most `limit` and about 2 MiB of them.
  virtual absl::StatusOr<ModelPage> ListModels(const std::string& tenant, const std::string& after,
                                               int limit) = 0;

  // Errors of GetModel and of model_update.h, where the request is checked.
  virtual absl::StatusOr<v1::Model> UpdateModel(const ModelName& personalized,
                                                const v1::UpdateModelRequest& request) = 0;

  // Errors of GetModel, and FAILED_PRECONDITION (MODEL_IN_USE) while a job that has not ended
  // draws with it.
  virtual absl::Status DeleteModel(const ModelName& personalized) = 0;

  // Forgets a subject: the model, and the jobs that made it and drew with it, with their events and
  // what waits to be called of them; of a job that made no model that is there, the job alone.
  // Nothing of it can be read from the store's file afterwards. Errors of GetModel and Delete;
  // FAILED_PRECONDITION (JOB_NOT_FINISHED, MODEL_IN_USE) while one of the jobs has not ended;
  // RESOURCE_EXHAUSTED (TOO_MANY_JOBS).
  virtual absl::StatusOr<Erased> EraseModel(const ModelName& personalized) = 0;
  virtual absl::StatusOr<Erased> EraseJob(const JobName& name, const std::string& etag) = 0;

  // What was committed with erasures and not dropped since, at most `limit` of it.
  virtual absl::StatusOr<std::vector<BlobToErase>> BlobsToErase(int limit) = 0;
  virtual absl::Status DropBlobsToErase(const std::vector<BlobToErase>& blobs) = 0;

  // Models for workers to erase, with numbers above `after` (all if none is as high), in order.
  virtual absl::StatusOr<std::vector<ErasedModel>> ErasedModels(int64_t after, int limit) = 0;

  // --- Workers

  // Leases the job that policies/choice.h chooses, if there is one. A request that was made before
  // (worker, instance and request_id are the same) gets the lease that it was granted, unless that
  // has run out or its worker has said something under it.
  virtual absl::StatusOr<std::optional<v1::Lease>> Acquire(
      const v1::AcquireLeaseRequest& offer) = 0;

  // ABORTED (LEASE_LOST) unless the token is that of the job's last lease and, below, live; see
  // transitions.h.
  virtual absl::StatusOr<LeasedJob> FindLease(const std::string& lease_token) = 0;
  virtual absl::StatusOr<LeaseTerms> Renew(const v1::HeartbeatRequest& news) = 0;
  virtual absl::Status Complete(const v1::CompleteLeaseRequest& outcome) = 0;
  virtual absl::Status Fail(const v1::FailLeaseRequest& failure) = 0;
  virtual absl::Status Release(const v1::ReleaseLeaseRequest& release) = 0;

  // --- The server itself

  // Takes back every lease that ran out. Returns how many.
  virtual absl::StatusOr<int> ExpireLeases() = 0;

  // Ends the jobs that have waited or run for too long; see transitions.h. Returns how many; there
  // may be more.
  virtual absl::StatusOr<int> TimeOutJobs() = 0;

  // Forgets jobs, and events of jobs, that retention (policies/retention.h) does not keep any
  // longer. A part of them at a time; `more` tells whether some are left.
  virtual absl::StatusOr<Swept> Sweep() = 0;

  // Gives every lease a full period from now on: called at start, because no worker could renew
  // while the server was away.
  virtual absl::Status ExtendLeases() = 0;

  // Jobs with a schedule_time wait for that date, though it was set since they were created. Called
  // every now and then, by one thread at a time.
  virtual absl::Status FollowDate() = 0;

  // Base models that workers offer or offered, by name.
  virtual absl::Status OfferBaseModels(const std::vector<v1::BaseModel>& models) = 0;
  virtual absl::StatusOr<std::vector<v1::BaseModel>> BaseModels() = 0;

  // How long work took with a base model of this digest, the device that was measured last first.
  virtual absl::StatusOr<std::vector<DeviceRates>> MeasuredRates(const std::string& digest,
                                                                 const std::string& method) = 0;

  // For those who operate the service (operations.h): jobs that are leased, by worker; groups of
  // jobs that wait, the largest first; the days on which the tenant used anything among the last
  // `days`, the latest first.
  virtual absl::StatusOr<std::vector<HeldJob>> HeldJobs(int limit) = 0;
  virtual absl::StatusOr<std::vector<QueueGroup>> QueueGroups(int limit) = 0;
  virtual absl::StatusOr<int64_t> CountWaiting() = 0;
  virtual absl::StatusOr<std::vector<UsedDay>> Usage(const std::string& tenant, int days) = 0;
  virtual absl::StatusOr<std::vector<DrainedWorker>> DrainedWorkers() = 0;
  virtual absl::Status DrainWorker(const DrainedWorker& worker) = 0;
  virtual absl::Status UndrainWorker(const std::string& worker) = 0;

  // Calls to webhooks, each kept from the commit of its event until a verdict ends it.
  virtual absl::StatusOr<WebhookPage> DueWebhookCalls(const WebhookQuery& query) = 0;
  virtual absl::Status RecordWebhookCalls(const std::vector<WebhookVerdict>& verdicts) = 0;
  virtual absl::StatusOr<int64_t> CountWebhookCalls() = 0;

  virtual absl::StatusOr<std::vector<JobCount>> CountJobs() = 0;

  virtual absl::StatusOr<TenantsAtQuota> CountTenantsAtQuota() = 0;

  // Calls `visit` at least once with each blob that is named all the while that this takes.
  virtual absl::Status VisitBlobs(absl::FunctionRef<void(const NamedBlob&)> visit) = 0;

  // Writes something, durably, to see whether it can.
  virtual absl::Status CheckWritable() = 0;

  // Reads all that is kept. DATA_LOSS (STORE_DAMAGED) if some of it is damaged.
  virtual absl::Status CheckWhole() = 0;

  // Lines that AuditNotes have left, in the order of their commits, and how to be rid of them once
  // they are somewhere else, durably.
  virtual absl::StatusOr<AuditLines> ReadAuditLines(int limit) = 0;
  virtual absl::Status DropAuditLines(int64_t last) = 0;
  virtual absl::StatusOr<int64_t> CountAuditLines() = 0;

  // Commits the line of this thread's AuditNote, about a change that is not in this store.
  virtual absl::Status CommitNote() = 0;

  // 32 random bytes, drawn when the store was made: signs what clients hand back to us.
  virtual const std::string& signing_key() const = 0;
};

}  // namespace likeness::server
