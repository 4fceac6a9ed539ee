#include "server/auth/audit_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

absl::StatusOr<int> OpenForAppending(const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (descriptor >= 0) return descriptor;
  return RpcError(absl::StatusCode::kFailedPrecondition, "AUDIT_LOG",
                  absl::StrCat("--audit-log: cannot open the file: ", strerror(errno)));
}

// One line. What is not UTF-8 is replaced.
std::string ToLine(const AuditEntry& entry) {
  nlohmann::ordered_json line = {
      {"time", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", entry.time, absl::UTCTimeZone())},
      {"caller", entry.caller},
      {"tenant", entry.tenant},
      {"peer", entry.peer},
      {"method", entry.method},
      {"resource", entry.resource},
      {"code", entry.code}};
  if (!entry.reason.empty()) line["reason"] = entry.reason;
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& path) {
  ASSIGN_OR_RETURN(const int descriptor, OpenForAppending(path));
  return std::unique_ptr<AuditLog>(new AuditLog(path, descriptor));
}

AuditLog::~AuditLog() {
  Sync();
  std::lock_guard lock(mutex_);
  close(descriptor_);
}

void AuditLog::Write(const AuditEntry& entry) {
  const std::string line = ToLine(entry);
  std::lock_guard lock(mutex_);
  unsynced_ = true;
  // One write of the whole line: with O_APPEND lines do not mix, not even those of two servers.
  if (write(descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    LogError("audit line lost", {{"method", entry.method},
                                 {"resource", entry.resource},
                                 {"caller", entry.caller},
                                 {"error", strerror(errno)}});
  }
}

void AuditLog::Sync() {
  std::lock_guard lock(mutex_);
  if (std::exchange(unsynced_, false)) fdatasync(descriptor_);
}

void AuditLog::Reopen() {
  auto fresh = OpenForAppending(path_);
  if (!fresh.ok()) {
    return LogError("audit log not reopened", {{"error", fresh.status().message()}});
  }
  Sync();
  std::lock_guard lock(mutex_);
  close(std::exchange(descriptor_, *fresh));
}

}  // namespace likeness::server
