#include "server/maintenance/restore_check.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"
#include "server/blobs/filesystem/layout.h"
#include "server/data_directory.h"
#include "server/jobs/sqlite/blob_names.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/sqlite/schema.h"

namespace likeness::server {
namespace {

constexpr char kIntegrity[] = "PRAGMA integrity_check(1)";
constexpr char kForeignKeys[] = "PRAGMA foreign_key_check";
constexpr char kJobs[] = "SELECT COUNT(*) FROM jobs";
constexpr char kModels[] = "SELECT COUNT(*) FROM models WHERE model IS NOT NULL";

absl::Status StoreDamaged(absl::string_view what) {
  return RpcError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                  absl::StrCat("the database is damaged: ", what));
}

absl::Status CheckStore(Database& database) {
  {
    Query query = database.Prepare(kIntegrity);
    const auto row = query.Step();
    if (!row.ok()) return StoreDamaged(row.status().message());
    if (query.String(0) != "ok") return StoreDamaged(query.Bytes(0));
  }
  ASSIGN_OR_RETURN(const bool broken, database.Prepare(kForeignKeys).Step());
  return broken ? StoreDamaged("a row names one that is not there") : absl::OkStatus();
}

absl::StatusOr<int64_t> Count(Database& database, const char* sql) {
  Query query = database.Prepare(sql);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

absl::Status CheckBlob(const std::string& directory, const NamedBlob& blob, RestoreCheck& check) {
  const auto file = File::OpenForReading(BlobPath(BlobsPath(directory), blob.name));
  if (absl::IsNotFound(file.status())) {
    if (blob.needed_until == absl::InfiniteFuture()) check.missing.push_back(blob.name);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const int64_t size, file->Size());
  auto hash = HashOf(*file, size);
  if (absl::IsDataLoss(hash.status()) || (hash.ok() && hash->HexDigest() != blob.name.sha256)) {
    check.damaged.push_back(blob.name);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(hash.status());
  ++check.blobs;
  check.bytes += size;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RestoreCheck> CheckRestore(const std::string& directory) {
  RETURN_IF_ERROR(CheckDataDirectory(directory));
  const auto opened = Database::Open(StorePath(directory), Database::Mode::kReader);
  if (!opened.ok()) return StoreDamaged(opened.status().message());
  Database& database = **opened;
  RETURN_IF_ERROR(CheckStore(database));
  RETURN_IF_ERROR(CheckSchema(database));
  RestoreCheck check;
  ASSIGN_OR_RETURN(check.jobs, Count(database, kJobs));
  ASSIGN_OR_RETURN(check.models, Count(database, kModels));
  absl::flat_hash_set<std::string> seen;
  absl::Status status;
  RETURN_IF_ERROR(VisitBlobNames(database, [&](const NamedBlob& blob) {
    if (!status.ok() || !seen.insert(blob.name.ToString()).second) return;
    status = CheckBlob(directory, blob, check);
  }));
  RETURN_IF_ERROR(status);
  return check;
}

}  // namespace likeness::server
