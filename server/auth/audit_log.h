// Who changed what: one JSON line for each change, in a file of its own that only grows.
//
// A line is in the file before the caller has the answer, so a killed server loses none. It is
// brought to the disk within a second (Sync), so a machine that loses power may lose the last
// second's.
#pragma once

#include <memory>
#include <mutex>
#include <string>

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

// Thread-safe.
class AuditLog {
 public:
  // FAILED_PRECONDITION (AUDIT_LOG) if the file cannot be opened for appending.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& path);
  ~AuditLog();

  void Write(const AuditEntry& entry);

  // Brings what was written to the disk.
  void Sync();

  // After the file was moved away: goes on in a new one.
  void Reopen();

 private:
  AuditLog(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  const std::string path_;
  std::mutex mutex_;
  int descriptor_ ABSL_GUARDED_BY(mutex_);
  bool unsynced_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace likeness::server
