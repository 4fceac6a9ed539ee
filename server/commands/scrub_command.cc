#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/commands/commands.h"
#include "server/data_directory.h"
#include "server/maintenance/scrub.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server scrub --data-dir=DIR [--scrub-bytes-per-second=N]\n\n"
    "Reads every blob, sets aside those whose bytes are not what they were named\n"
    "by, and names them. Works beside a server that has the directory open. Exit\n"
    "code 1: some are damaged.";

absl::Status Scrub(const std::string& data_dir, int64_t bytes_per_second) {
  RETURN_IF_ERROR(CheckDataDirectory(data_dir));
  const SystemClock clock;
  ASSIGN_OR_RETURN(auto blobs, FilesystemBlobStore::Open(BlobsPath(data_dir), 0, clock));
  ScrubOptions options;
  options.bytes_per_second = bytes_per_second;
  options.wait = [](absl::Duration duration) {
    absl::SleepFor(duration);
    return true;
  };
  ASSIGN_OR_RETURN(const Scrubbed scrubbed, ScrubBlobs(*blobs, options));
  for (const BlobName& name : scrubbed.damaged) std::printf("%s\n", name.ToString().c_str());
  std::printf("read %lld blobs, %.1f MB\n", static_cast<long long>(scrubbed.blobs),
              static_cast<double>(scrubbed.bytes) / 1e6);
  if (scrubbed.damaged.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(scrubbed.damaged.size(), " blobs are damaged"));
}

}  // namespace

int ScrubCommand(const CommandLine& arguments) {
  std::string data_dir;
  int64_t bytes_per_second = 0;
  FlagSet flags(kUsage);
  flags.Add("data-dir", &data_dir, "The server's directory. Required.", "LIKENESS_DATA_DIR");
  flags.Add("scrub-bytes-per-second", &bytes_per_second, "0: as fast as it goes.");
  return RunCommand(flags, arguments, {}, [&] { return Scrub(data_dir, bytes_per_second); });
}

}  // namespace likeness::server
