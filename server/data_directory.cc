#include "server/data_directory.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

std::string LockPath(const std::string& data_dir) { return data_dir + "/lock"; }

}  // namespace

std::string StorePath(const std::string& data_dir) { return data_dir + "/jobs.sqlite"; }
std::string BlobsPath(const std::string& data_dir) { return data_dir + "/blobs"; }

absl::Status CheckDataDirectory(const std::string& data_dir) {
  std::error_code error;
  if (std::filesystem::is_regular_file(StorePath(data_dir), error)) return absl::OkStatus();
  return RpcError(absl::StatusCode::kFailedPrecondition, "NO_DATA_DIR",
                  absl::StrCat("\"", data_dir, "\" is no data directory of a likeness-server"));
}

bool WasServed(const std::string& data_dir) {
  std::error_code error;
  return std::filesystem::is_directory(BlobsPath(data_dir), error);
}

absl::StatusOr<FileLock> LockDataDirectory(const std::string& data_dir) {
  auto lock = FileLock::Take(LockPath(data_dir), FileLock::Kind::kExclusive, /*wait=*/false);
  if (absl::IsUnavailable(lock.status())) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE",
                    "another server has the data directory open");
  }
  RETURN_IF_ERROR(lock.status());
  // A full disk must not keep the server from starting: the number is for HolderOf alone.
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(lock->descriptor(), 0) == 0) {
    (void)!pwrite(lock->descriptor(), pid.data(), pid.size(), 0);
  }
  return lock;
}

pid_t HolderOf(const std::string& data_dir) {
  pid_t pid = 0;
  std::ifstream(LockPath(data_dir)) >> pid;
  return pid;
}

}  // namespace likeness::server
