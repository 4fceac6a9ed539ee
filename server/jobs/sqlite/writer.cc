#include "server/jobs/sqlite/writer.h"

#include <future>
#include <utility>

#include "absl/time/clock.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/audit_note.h"

namespace likeness::server {

namespace {

constexpr char kLastCommit[] = "SELECT value FROM meta WHERE name = 'last_commit'";
constexpr char kInsertNote[] = "INSERT INTO audit (line) VALUES (?)";
constexpr char kSetLastCommit[] = "UPDATE meta SET value = ? WHERE name = 'last_commit'";

}  // namespace

absl::StatusOr<int64_t> ReadLastCommit(Database& database) {
  Query query = database.Prepare(kLastCommit);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

struct Writer::Pending {
  explicit Pending(absl::FunctionRef<absl::Status(Transaction&)> w) : work(w) {}
  absl::FunctionRef<absl::Status(Transaction&)> work;
  absl::Status status;
  std::vector<JobChange> changes;
  bool met_damage = false;  // and took the whole transaction with it
  // What the call at hand wants written down with its changes; may be nothing.
  AuditNote* const note = AuditNote::Current();
  bool noted = false;
  std::promise<void> done;
};

Writer::Writer(std::unique_ptr<Database> database, const StoreClock& clock, int64_t last_commit,
               JobStore::Listener listener)
    : database_(std::move(database)),
      clock_(clock),
      listener_(std::move(listener)),
      last_commit_(last_commit),
      thread_([this] { Loop(); }) {}

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
  const std::future<void> done = pending.done.get_future();
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(&pending);
    first = queue_.size() == 1;
  }
  if (first) queued_.notify_one();
  done.wait();
  return pending.status;
}

size_t Writer::queued() {
  std::lock_guard lock(mutex_);
  return queue_.size();
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
    if (!failure.ok() && !pending->met_damage) pending->status = failure;
    if (pending->status.ok()) {
      if (pending->noted) pending->note->Kept();
      std::move(pending->changes.begin(), pending->changes.end(), std::back_inserter(changes));
    }
  }
  Answer(batch);
  if (Planted("wake-dropped") && last_commit_ % 3 == 0) return;
  for (const JobChange& change : changes) listener_(change);
}

// The callers of a batch go on; nothing of it is left.
void Writer::Answer(std::vector<Pending*>& batch) {
  for (Pending* pending : batch) {
    std::promise<void> done = std::move(pending->done);  // the caller's part may go at any moment
    done.set_value();
  }
  batch.clear();
}

// An error of the batch as a whole; then nothing of it is kept.
absl::Status Writer::RunAll(std::vector<Pending*>& batch) {
  if (Planted("acknowledged-early")) return RunAndCommit(batch);
  std::vector<Pending*> rest = batch;
  for (;;) {
    auto status = RunAndCommit(rest);
    if (!status.ok() && database_->in_transaction()) (void)database_->Execute("ROLLBACK");
    // A page that cannot be read makes SQLite undo everything. Those that need other pages go on.
    const size_t left_out =
        std::erase_if(rest, [](const Pending* part) { return part->met_damage; });
    if (left_out == 0) return status;
    if (rest.empty()) return absl::OkStatus();
  }
}

absl::Status Writer::RunAndCommit(std::vector<Pending*>& batch) {
  const int64_t changes_before = database_->total_changes();
  RETURN_IF_ERROR(database_->Prepare("BEGIN IMMEDIATE").Run());
  ASSIGN_OR_RETURN(const bool clean, RunTogether(batch));
  if (!clean) {
    RETURN_IF_ERROR(database_->Prepare("ROLLBACK").Run());
    RETURN_IF_ERROR(database_->Prepare("BEGIN IMMEDIATE").Run());
    RETURN_IF_ERROR(RunUndoable(batch));
  }
  if (Planted("acknowledged-early")) {
    Answer(batch);
    absl::SleepFor(absl::Milliseconds(20));
  }
  return Commit(changes_before);
}

// A batch that has changed nothing is not written.
absl::Status Writer::Commit(int64_t changes_before) {
  if (database_->total_changes() != changes_before) {
    RETURN_IF_ERROR(database_->Prepare(kSetLastCommit).Bind(last_commit_).Run());
    RETURN_IF_ERROR(clock_.Save(*database_));
  }
  return database_->Prepare("COMMIT").Run();
}

// False: a part failed and has left something behind.
absl::StatusOr<bool> Writer::RunTogether(std::vector<Pending*>& batch) {
  for (Pending* part : batch) {
    const int64_t before = database_->total_changes();
    RETURN_IF_ERROR(RunPart(*part));
    if (!part->status.ok() && database_->total_changes() != before) return false;
  }
  return true;
}

absl::Status Writer::RunUndoable(std::vector<Pending*>& batch) {
  for (Pending* part : batch) {
    RETURN_IF_ERROR(database_->Prepare("SAVEPOINT part").Run());
    RETURN_IF_ERROR(RunPart(*part));
    if (!part->status.ok()) RETURN_IF_ERROR(database_->Prepare("ROLLBACK TO part").Run());
    RETURN_IF_ERROR(database_->Prepare("RELEASE part").Run());
  }
  return absl::OkStatus();
}

absl::Status Writer::WriteNote(Pending& part) {
  const std::string line = part.note->LineFor(part.changes.empty() ? "" : part.changes.back().name);
  if (line.empty()) return absl::OkStatus();
  part.noted = true;
  return database_->Prepare(kInsertNote).Bind(line).Run();
}

// An error: the transaction is gone.
absl::Status Writer::RunPart(Pending& part) {
  Transaction transaction{*database_, ++last_commit_, {}};
  part.status = part.work(transaction);
  part.changes = std::move(transaction.changes);
  part.noted = false;
  if (part.status.ok() && part.note != nullptr) part.status = WriteNote(part);
  if (database_->in_transaction()) return absl::OkStatus();
  part.met_damage = absl::IsDataLoss(part.status);
  // A full disk makes SQLite undo everything at once.
  return part.status.ok()
             ? RpcError(absl::StatusCode::kInternal, "STORE_FAILED", "the commit was undone")
             : part.status;
}

}  // namespace likeness::server
