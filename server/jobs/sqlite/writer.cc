#include "server/jobs/sqlite/writer.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"

namespace likeness::server {

struct Writer::Pending {
  explicit Pending(absl::FunctionRef<absl::Status(Transaction&)> w) : work(w) {}
  absl::FunctionRef<absl::Status(Transaction&)> work;
  absl::Status status;
  std::vector<JobChange> changes;
  bool done = false;  // guarded by the writer's mutex
  std::condition_variable finished;
};

Writer::Writer(std::unique_ptr<Database> database, JobStore::Listener listener)
    : database_(std::move(database)), listener_(std::move(listener)), thread_([this] { Loop(); }) {}

Writer::~Writer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queued_.notify_one();
  thread_.join();
}

absl::Status Writer::Run(absl::FunctionRef<absl::Status(Transaction&)> work) {
  Pending pending(work);
  std::unique_lock lock(mutex_);
  queue_.push_back(&pending);
  if (queue_.size() == 1) queued_.notify_one();
  pending.finished.wait(lock, [&] { return pending.done; });
  return pending.status;
}

void Writer::Loop() {
  for (;;) {
    std::vector<Pending*> batch;
    {
      std::unique_lock lock(mutex_);
      queued_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    CommitAll(batch);
  }
}

void Writer::CommitAll(std::vector<Pending*>& batch) {
  const absl::Status failure = RunAll(batch);
  std::vector<JobChange> changes;
  for (Pending* pending : batch) {
    if (!failure.ok()) pending->status = failure;
    if (pending->status.ok()) {
      std::move(pending->changes.begin(), pending->changes.end(), std::back_inserter(changes));
    }
  }
  Answer(batch);
  for (const JobChange& change : changes) listener_(change);
}

// The callers of a batch go on; nothing of it is left.
void Writer::Answer(std::vector<Pending*>& batch) {
  std::lock_guard lock(mutex_);  // held to the end: a caller that sees `done` destroys its part
  for (Pending* pending : batch) {
    pending->done = true;
    pending->finished.notify_one();
  }
  batch.clear();
}

// An error of the batch as a whole; then nothing of it is kept.
absl::Status Writer::RunAll(std::vector<Pending*>& batch) {
  RETURN_IF_ERROR(database_->Prepare("BEGIN IMMEDIATE").Run());
  absl::Status failure;
  for (Pending* pending : batch) {
    failure = database_->Prepare("SAVEPOINT part").Run();
    if (!failure.ok()) break;
    Transaction transaction{*database_, {}};
    pending->status = pending->work(transaction);
    pending->changes = std::move(transaction.changes);
    if (!database_->in_transaction()) {  // a full disk makes SQLite undo everything at once
      return pending->status.ok()
                 ? RpcError(absl::StatusCode::kInternal, "STORE_FAILED", "the commit was undone")
                 : pending->status;
    }
    if (!pending->status.ok()) failure = database_->Prepare("ROLLBACK TO part").Run();
    if (failure.ok()) failure = database_->Prepare("RELEASE part").Run();
    if (!failure.ok()) break;
  }
  if (Planted("acknowledged-early")) {
    Answer(batch);
    absl::SleepFor(absl::Milliseconds(20));
  }
  if (failure.ok()) failure = database_->Prepare("COMMIT").Run();
  if (!failure.ok() && database_->in_transaction()) (void)database_->Execute("ROLLBACK");
  return failure;
}

}  // namespace likeness::server
