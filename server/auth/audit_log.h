// Who changed what: one JSON line for each change, in a file of its own that only grows.
//
// The line about a change is in the job store, durably, before the caller has the answer (see
// jobs/audit_note.h), and is brought here by Append within a second; one that a crash brought twice
// has the same id. Lines about refusals are in the file before the caller has the answer, and on
// the disk within a second (Sync).
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace likeness::server {

struct AuditEntry {
  absl::Time time;
  std::string caller{};    // id of the key, token or certificate; empty without authentication
  std::string tenant{};    // empty for a worker
  std::string peer{};      // its address
  std::string method{};    // "CancelJob"
  std::string resource{};  // "tenants/acme/jobs/rex"
  std::string code{};      // "OK", "NOT_FOUND"
  std::string reason{};    // "JOB_NOT_FOUND"
};

// As JSON, with an id of its own. No text from outside makes it long: a name that is too long for
// one that is right is cut.
std::string ToLine(const AuditEntry& entry);

// Thread-safe.
class AuditLog {
 public:
  // FAILED_PRECONDITION (AUDIT_LOG) if the file cannot be opened for appending.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& path);
  ~AuditLog();

  void Write(const AuditEntry& entry);

  // Lines made by ToLine, durable on return. After an error some may be there all the same.
  absl::Status Append(const std::vector<std::string>& lines);

  // Brings what was written to the disk.
  void Sync();

  // After the file was moved away: goes on in a new one.
  void Reopen();

 private:
  AuditLog(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  bool WriteAll(const std::string& text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SyncLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  std::mutex mutex_;
  int descriptor_ ABSL_GUARDED_BY(mutex_);
  bool unsynced_ ABSL_GUARDED_BY(mutex_) = false;
  bool torn_ ABSL_GUARDED_BY(mutex_) = false;  // the last line is not whole
};

}  // namespace likeness::server
