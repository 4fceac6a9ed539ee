#include "server/jobs/sqlite/opening.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"
#include "server/jobs/sqlite/log_check.h"

namespace likeness::server {
namespace {

absl::StatusOr<int64_t> VersionOf(Database& database) {
  Query query = database.Prepare("PRAGMA user_version");
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

// A copy with checksums takes the database's place. Nobody else has it open: whoever waits for the
// lock has the old file, and finds in it what it held until now.
absl::Status AddChecksums(Database& database, const std::string& path) {
  RETURN_IF_ERROR(
      database.Execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE;"
                       "BEGIN EXCLUSIVE; COMMIT"));
  if (FileSize(path + "-wal")) return absl::UnavailableError("another process has it open");
  const std::string fresh = path + ".checked";
  unlink(fresh.c_str());
  auto made = database.PrepareOnce("VACUUM INTO ?").Bind(fresh).Run();
  if (made.ok()) {
    const auto file = File::OpenForWriting(fresh);
    made = file.ok() ? file->Sync() : file.status();
  }
  if (made.ok() && std::rename(fresh.c_str(), path.c_str()) != 0) {
    made = ErrnoStatus(errno, "put the database into place");
  }
  if (!made.ok()) {
    unlink(fresh.c_str());
    return made;
  }
  return SyncDirectory(std::filesystem::path(path).parent_path().string());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(const std::string& path, bool was_there) {
  RETURN_IF_ERROR(CheckLog(path));
  ASSIGN_OR_RETURN(auto database, Database::Open(path, Database::Mode::kWriter));
  ASSIGN_OR_RETURN(const int64_t version, VersionOf(*database));
  if (version == 0 && was_there) {
    return RpcError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                    "jobs.sqlite is missing or empty beside its blobs; restore it from a backup, "
                    "or move blobs/ away to begin anew");
  }
  if (version > 0 && !database->has_checksums()) {
    LogInfo("the database gets checksums", {{"bytes", FileSize(path).value_or(0)}});
    if (auto added = AddChecksums(*database, path); !added.ok()) {
      LogWarning("the database has no checksums yet", {{"error", added.message()}});
    }
    database.reset();
    ASSIGN_OR_RETURN(database, Database::Open(path, Database::Mode::kWriter));
  }
  // A full disk must not keep the server from starting.
  auto brought = database->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!brought.ok() && !absl::IsResourceExhausted(brought)) return brought;
  return database;
}

}  // namespace likeness::server
