// The part of the store that workers call: who holds a lease, and until when.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/queries.h"
#include "server/jobs/sqlite/queue.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

constexpr char kExtendLeases[] =
    "UPDATE jobs SET lease_expire = ?, version = version + 1 WHERE state IN (2, 3)";
constexpr char kExtendReports[] = "UPDATE reports SET expire = ?";

// "{key}.{secret}"
std::string NewLeaseToken(int64_t key) { return absl::StrCat(key, ".", RandomSecret()); }

absl::StatusOr<int64_t> KeyOfToken(absl::string_view token) {
  int64_t key = 0;
  if (!absl::SimpleAtoi(token.substr(0, token.find('.')), &key)) return LeaseLost();
  return key;
}

}  // namespace

// A lease expires one period after it was granted or renewed: since then its time is not yet
// charged.
absl::Status SqliteJobStore::ChargeSince(Database& database, const std::string& job,
                                         absl::Time lease_expire, const Moment& now) {
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(job));
  const absl::Duration held =
      std::min(now.steady, lease_expire) - (lease_expire - options_.lease.duration);
  return ChargeWorkerTime(database, name.tenant, std::max(held, absl::ZeroDuration()), now.wall);
}

absl::Status SqliteJobStore::ChangeLeased(const std::string& lease_token, Change change,
                                          Kind kind) {
  ASSIGN_OR_RETURN(int64_t key, KeyOfToken(lease_token));
  const auto work = [&](Transaction& transaction) {
    return ChangeRecord(transaction, key, change, kind);
  };
  // A report changes nothing about who waits and who runs.
  return kind == Kind::kReport ? writer_.Run(work) : Write(work);
}

v1::Lease SqliteJobStore::LeaseOf(const JobRecord& record, const Moment& now) const {
  v1::Lease lease;
  *lease.mutable_job() = record.job;
  lease.mutable_job()->clear_webhook();
  lease.set_lease_token(record.lease_token);
  *lease.mutable_expire_time() = ToProto(now.Dated(record.lease_expire));
  *lease.mutable_duration() = ToProto(options_.lease.duration);
  if (record.checkpoint) *lease.mutable_checkpoint() = *record.checkpoint;
  lease.set_lease_id(absl::StrCat(record.job.uid().substr(0, 8), "-", record.job.attempt()));
  return lease;
}

// The personalized models of the job: the worker fetches their files. One that was deleted
// meanwhile must not keep the worker from its lease: it will say itself that there is nothing to
// draw with.
absl::Status SqliteJobStore::AddModels(Database& database, v1::Lease& lease) {
  for (const std::string& used : ModelsOf(lease.job())) {
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName(used));
    if (name.is_base()) continue;
    v1::LeasedModel& model = *lease.add_models();
    model.set_name(name.ToString());
    auto personalized = ReadModel(database, name);
    if (absl::IsNotFound(personalized.status())) continue;
    RETURN_IF_ERROR(personalized.status());
    *model.mutable_files() = std::move(*personalized->mutable_files());
  }
  return absl::OkStatus();
}

absl::Status SqliteJobStore::LeaseJob(Transaction& transaction, int64_t key,
                                      const v1::AcquireLeaseRequest& request,
                                      std::optional<v1::Lease>* lease) {
  RETURN_IF_ERROR(ChangeRecord(transaction, key, [&](JobRecord& record, const Moment& now) {
    Lease(record, NewLeaseToken(key), request, options_.lease, now);
    *lease = LeaseOf(record, now);
    return absl::OkStatus();
  }));
  return AddModels(transaction.database, **lease);
}

absl::StatusOr<std::optional<v1::Lease>> SqliteJobStore::GrantedBefore(
    Database& database, const v1::AcquireLeaseRequest& request) {
  const std::string repeatable = RepeatableRequest(request);
  if (repeatable.empty()) return std::nullopt;
  const Moment now = clock_.Now();
  ASSIGN_OR_RETURN(const auto key, FindUnheardLease(database, repeatable, now.steady));
  if (!key) return std::nullopt;
  ASSIGN_OR_RETURN(const auto stored, LoadRecord(database, *key));
  if (!stored) return std::nullopt;
  v1::Lease lease = LeaseOf(stored->record, now);
  RETURN_IF_ERROR(AddModels(database, lease));
  return lease;
}

absl::StatusOr<std::optional<v1::Lease>> SqliteJobStore::Acquire(
    const v1::AcquireLeaseRequest& offer) {
  // A look without writing: most polls of workers that wait find nothing. Where the last poll found
  // a job, the writer looks at once: it has in memory what a reader would read from the log.
  const bool at_once = leased_lately_;
  if (!at_once) {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(auto granted, GrantedBefore(*database, offer));
    if (granted) return granted;
    ASSIGN_OR_RETURN(bool any,
                     AnyPending(*database, offer, clock_.Now(), options_.quotas, damaged_));
    if (!any) return std::nullopt;
  }
  std::optional<v1::Lease> lease;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    lease.reset();
    if (at_once) {
      ASSIGN_OR_RETURN(lease, GrantedBefore(database, offer));
      if (lease) return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(auto choice, ChoosePending(database, offer, clock_.Now(), options_.queue,
                                                options_.quotas, damaged_));
    if (!choice) return absl::OkStatus();
    const int64_t key = choice->job.key;
    RETURN_IF_ERROR(ChargeFor(database, *std::move(choice), options_.queue));
    return LeaseJob(transaction, key, offer, &lease);
  }));
  leased_lately_ = lease.has_value();
  return lease;
}

absl::StatusOr<LeasedJob> SqliteJobStore::FindLease(const std::string& lease_token) {
  ASSIGN_OR_RETURN(const int64_t key, KeyOfToken(lease_token));
  ASSIGN_OR_RETURN(auto database, readers_.BorrowWithoutTransaction());  // one statement
  ASSIGN_OR_RETURN(auto leased, ReadLease(*database, key, lease_token, clock_.Now().steady));
  if (!leased) return LeaseLost();
  return *std::move(leased);
}

absl::StatusOr<LeaseTerms> SqliteJobStore::Renew(const v1::HeartbeatRequest& news) {
  const bool more = BringsMoreThanProgress(news);
  LeaseTerms terms;
  const auto renew = [&](JobRecord& record, const Moment& now) {
    auto status = likeness::server::Renew(record, news, options_.lease, now);
    terms = {now.Dated(record.lease_expire), record.job.state() == v1::JOB_STATE_CANCELLING};
    return status;
  };
  RETURN_IF_ERROR(ChangeLeased(news.lease_token(), renew, more ? Kind::kChange : Kind::kReport));
  return terms;
}

absl::Status SqliteJobStore::Complete(const v1::CompleteLeaseRequest& outcome) {
  absl::Status reply;
  RETURN_IF_ERROR(ChangeLeased(outcome.lease_token(), [&](JobRecord& record, const Moment& now) {
    auto completion = likeness::server::Complete(record, outcome, now);
    reply = completion.reply;
    return completion.changed ? absl::OkStatus() : completion.reply;
  }));
  return reply;
}

absl::Status SqliteJobStore::Fail(const v1::FailLeaseRequest& failure) {
  return ChangeLeased(failure.lease_token(), [&](JobRecord& record, const Moment& now) {
    return likeness::server::Fail(record, failure, options_.retry, now);
  });
}

absl::Status SqliteJobStore::Release(const v1::ReleaseLeaseRequest& release) {
  return ChangeLeased(release.lease_token(), [&](JobRecord& record, const Moment& now) {
    return likeness::server::Release(record, release, now);
  });
}

absl::StatusOr<int> SqliteJobStore::ExpireLeases() {
  {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(auto keys, ExpiredLeases(*database, clock_.Now().steady));
    damaged_.RemoveFrom(keys);
    if (keys.empty()) return 0;
  }
  int expired = 0;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(auto keys, ExpiredLeases(transaction.database, clock_.Now().steady));
    damaged_.RemoveFrom(keys);
    for (int64_t key : keys) {
      RETURN_IF_ERROR(ChangeRecord(
          transaction, key,
          [&](JobRecord& record, const Moment& now) {
            Expire(record, options_.retry, now);
            return absl::OkStatus();
          },
          Kind::kLeaseLost));
    }
    expired = static_cast<int>(keys.size());
    return absl::OkStatus();
  }));
  return expired;
}

absl::Status SqliteJobStore::ExtendLeases() {
  return writer_.Run([&](Transaction& transaction) {
    const absl::Time expire = clock_.Now().steady + options_.lease.duration;
    RETURN_IF_ERROR(transaction.database.Prepare(kExtendLeases).Bind(expire).Run());
    return transaction.database.Prepare(kExtendReports).Bind(expire).Run();
  });
}

}  // namespace likeness::server
