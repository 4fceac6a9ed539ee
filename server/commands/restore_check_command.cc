#include <cstdio>

#include "common/status_macros.h"
#include "server/commands/commands.h"
#include "server/maintenance/restore_check.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server restore-check DIR\n\n"
    "Opens a backup, checks the database, and reads every blob that it names. Changes\n"
    "nothing. Exit code 1: something is missing or damaged.";

absl::Status Check(const std::string& directory) {
  ASSIGN_OR_RETURN(const RestoreCheck check, CheckRestore(directory));
  for (const BlobName& name : check.missing) {
    std::printf("missing: %s\n", name.ToString().c_str());
  }
  for (const BlobName& name : check.damaged) {
    std::printf("damaged: %s\n", name.ToString().c_str());
  }
  std::printf("%lld jobs, %lld models, %lld blobs, %.1f MB\n", static_cast<long long>(check.jobs),
              static_cast<long long>(check.models), static_cast<long long>(check.blobs),
              static_cast<double>(check.bytes) / 1e6);
  if (check.missing.empty() && check.damaged.empty()) return absl::OkStatus();
  return absl::DataLossError("the backup is not whole");
}

}  // namespace

int RestoreCheckCommand(const CommandLine& arguments) {
  std::string directory;
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {{"DIR", &directory}}, [&] { return Check(directory); });
}

}  // namespace likeness::server
