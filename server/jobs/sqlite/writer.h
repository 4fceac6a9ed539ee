// The one connection that writes. A commit waits for the disk, so one thread commits whatever has
// queued up meanwhile as one SQLite transaction (group commit). Each caller's part succeeds or
// fails alone. One that fails nearly always does so before it has written anything; where one did
// not, the batch is undone and run once more, each part in a savepoint: those cost a copy of every
// page.
//
// A part that meets a damaged page fails alone too: the batch is run once more without it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/job_store.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/sqlite/store_clock.h"

namespace likeness::server {

// One caller's part of a commit.
struct Transaction {
  Database& database;
  // Of one sequence over all that was ever written, in the order in which it was: what a later
  // transaction has seen has a lower number. Some are left out.
  const int64_t commit;
  std::vector<JobChange> changes;  // told to the listener once they are durable
};

// The highest number that a transaction was committed under.
absl::StatusOr<int64_t> ReadLastCommit(Database& database);

class Writer {
 public:
  // `clock` must outlive this. `listener` is called on the writer's thread after each commit; it
  // must not block or call the store.
  Writer(std::unique_ptr<Database> database, const StoreClock& clock, int64_t last_commit,
         JobStore::Listener listener);
  ~Writer();

  // Runs `work` on the writer's thread. Returns once its changes are durable, or, with its error,
  // once they are undone. It may run more than once; what counts is the last time.
  absl::Status Run(absl::FunctionRef<absl::Status(Transaction&)> work);
  // Parts that wait for the batch under way.
  size_t queued();

 private:
  struct Pending;

  void Loop();
  void CommitAll(std::vector<Pending*>& batch);
  absl::Status RunAll(std::vector<Pending*>& batch);
  absl::Status RunAndCommit(std::vector<Pending*>& batch);
  absl::StatusOr<bool> RunTogether(std::vector<Pending*>& batch);
  absl::Status RunUndoable(std::vector<Pending*>& batch);
  absl::Status RunPart(Pending& part);
  absl::Status WriteNote(Pending& part);
  absl::Status Commit(int64_t changes_before);
  void Answer(std::vector<Pending*>& batch);

  const std::unique_ptr<Database> database_;
  const StoreClock& clock_;
  const JobStore::Listener listener_;
  int64_t last_commit_;  // the writer's thread alone uses it
  std::mutex mutex_;
  std::condition_variable queued_;  // something was queued, or the end has come
  std::vector<Pending*> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace likeness::server
