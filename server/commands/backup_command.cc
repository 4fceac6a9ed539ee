#include <cstdio>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/commands/commands.h"
#include "server/maintenance/backup.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server backup --data-dir=DIR --out=DIR [--copy]\n\n"
    "Copies the database, as it is at one moment, and every blob that it names,\n"
    "while a server has them open or not. Again into the same directory it brings\n"
    "only what is new. Exit code 1: the backup is made, and lacks blobs that were\n"
    "missing or damaged already.";

absl::Status Make(const BackupOptions& options) {
  if (options.out.empty()) return absl::InvalidArgumentError("--out is missing");
  ASSIGN_OR_RETURN(const Backup backup, MakeBackup(options));
  std::printf("%lld blobs, of which %lld are new (%.1f MB); %lld removed\n",
              static_cast<long long>(backup.blobs), static_cast<long long>(backup.fresh),
              static_cast<double>(backup.fresh_bytes) / 1e6,
              static_cast<long long>(backup.removed));
  for (const BlobName& name : backup.lacking) {
    std::printf("missing or damaged: %s\n", name.ToString().c_str());
  }
  if (backup.lacking.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the backup lacks ", backup.lacking.size(), " blobs"));
}

}  // namespace

int BackupCommand(const CommandLine& arguments) {
  BackupOptions options;
  FlagSet flags(kUsage);
  flags.Add("data-dir", &options.data_dir, "The server's directory. Required.",
            "LIKENESS_DATA_DIR");
  flags.Add("out", &options.out, "Where the backup is made, or brought up to date. Required.");
  flags.Add("copy", &options.copy,
            "Copy blobs even where a hard link would do: a link is safe from deletion, not from a "
            "failing disk.");
  return RunCommand(flags, arguments, {}, [&] { return Make(options); });
}

}  // namespace likeness::server
