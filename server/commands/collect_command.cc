#include <signal.h>

#include <cstdio>

#include "common/clock.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/commands/commands.h"
#include "server/data_directory.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/maintenance/collect.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server collect --data-dir=DIR [--blob-grace=DURATION]\n\n"
    "Removes the blobs that no job, event or model names. A server that has the\n"
    "directory open is told to do it, with its own --blob-grace; its log says what\n"
    "went.";

absl::Status Collect(const std::string& data_dir, const CollectPolicy& policy) {
  RETURN_IF_ERROR(CheckDataDirectory(data_dir));
  const auto lock = LockDataDirectory(data_dir);
  if (ErrorReason(lock.status()) == "DATA_DIR_IN_USE") {
    const pid_t server = HolderOf(data_dir);
    if (server <= 0 || kill(server, SIGUSR1) != 0) {
      return absl::FailedPreconditionError(
          "a server has the data directory open, and cannot be told from here");
    }
    std::printf("the server (process %d) collects\n", static_cast<int>(server));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(lock.status());
  const SystemClock clock;
  SqliteJobStoreOptions options;
  options.path = StorePath(data_dir);
  ASSIGN_OR_RETURN(auto jobs, SqliteJobStore::Open(options, clock));
  ASSIGN_OR_RETURN(auto blobs, FilesystemBlobStore::Open(BlobsPath(data_dir), 0, clock));
  ASSIGN_OR_RETURN(const SweptBlobs swept, CollectBlobs(*jobs, *blobs, policy, clock.Now()));
  std::printf("removed %lld blobs, %.1f MB\n", static_cast<long long>(swept.blobs),
              static_cast<double>(swept.bytes) / 1e6);
  return absl::OkStatus();
}

}  // namespace

int CollectCommand(const CommandLine& arguments) {
  std::string data_dir;
  CollectPolicy policy;
  FlagSet flags(kUsage);
  flags.Add("data-dir", &data_dir, "The server's directory. Required.", "LIKENESS_DATA_DIR");
  flags.Add("blob-grace", &policy.blob_grace, "How long unreferenced blobs are kept.",
            "LIKENESS_BLOB_GRACE");
  return RunCommand(flags, arguments, {}, [&] { return Collect(data_dir, policy); });
}

}  // namespace likeness::server
