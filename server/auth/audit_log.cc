#include "server/auth/audit_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/ids.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

absl::StatusOr<int> OpenForAppending(const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (descriptor >= 0) return descriptor;
  return RpcError(absl::StatusCode::kFailedPrecondition, "AUDIT_LOG",
                  absl::StrCat("--audit-log: cannot open \"", path, "\": ", strerror(errno)));
}

constexpr size_t kMaxTextBytes = 300;  // longer than any name that is right

}  // namespace

std::string ToLine(const AuditEntry& entry) {
  nlohmann::ordered_json line = {
      {"id", RandomUuid()},
      {"time", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", entry.time, absl::UTCTimeZone())},
      {"caller", Shorten(entry.caller, kMaxTextBytes)},
      {"tenant", Shorten(entry.tenant, kMaxTextBytes)},
      {"peer", Shorten(entry.peer, kMaxTextBytes)},
      {"method", entry.method},
      {"resource", Shorten(entry.resource, kMaxTextBytes)},
      {"code", entry.code}};
  if (!entry.reason.empty()) line["reason"] = entry.reason;
  // What is not UTF-8 is replaced.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& path) {
  ASSIGN_OR_RETURN(const int descriptor, OpenForAppending(path));
  return std::unique_ptr<AuditLog>(new AuditLog(path, descriptor));
}

AuditLog::~AuditLog() {
  Sync();
  std::lock_guard lock(mutex_);
  close(descriptor_);
}

// One write of whole lines: with O_APPEND they do not mix, not even those of two servers.
bool AuditLog::WriteAll(const std::string& text) {
  const std::string whole = torn_ ? "\n" + text : text;
  unsynced_ = true;
  const ssize_t written = write(descriptor_, whole.data(), whole.size());
  if (written == static_cast<ssize_t>(whole.size())) return torn_ = false, true;
  torn_ = torn_ || written > 0;
  return false;
}

// A file that could not be synced once is opened anew: the next fsync of this descriptor would say
// that all is well.
absl::Status AuditLog::SyncLocked() {
  if (!std::exchange(unsynced_, false) || fdatasync(descriptor_) == 0) return absl::OkStatus();
  const int error = errno;
  LogError("audit log not synced", {{"error", strerror(error)}});
  if (auto fresh = OpenForAppending(path_); fresh.ok()) {
    close(std::exchange(descriptor_, *fresh));
  }
  return absl::InternalError(strerror(error));
}

void AuditLog::Write(const AuditEntry& entry) {
  const std::string line = ToLine(entry) + "\n";
  std::lock_guard lock(mutex_);
  if (!WriteAll(line)) {
    LogError("audit line lost", {{"method", entry.method},
                                 {"resource", entry.resource},
                                 {"caller", entry.caller},
                                 {"error", strerror(errno)}});
  }
}

absl::Status AuditLog::Append(const std::vector<std::string>& lines) {
  const std::string text = absl::StrJoin(lines, "\n") + "\n";
  std::lock_guard lock(mutex_);
  if (!WriteAll(text)) return absl::InternalError(strerror(errno));
  return SyncLocked();
}

void AuditLog::Sync() {
  std::lock_guard lock(mutex_);
  (void)SyncLocked();
}

void AuditLog::Reopen() {
  auto fresh = OpenForAppending(path_);
  if (!fresh.ok()) {
    return LogError("audit log not reopened", {{"error", fresh.status().message()}});
  }
  std::lock_guard lock(mutex_);
  (void)SyncLocked();
  close(std::exchange(descriptor_, *fresh));
  torn_ = false;
}

}  // namespace likeness::server
