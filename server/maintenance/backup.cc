#include "server/maintenance/backup.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/flag_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"
#include "server/blobs/filesystem/layout.h"
#include "server/data_directory.h"
#include "server/jobs/sqlite/blob_names.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/sqlite/log_check.h"
#include "server/maintenance/blob_set.h"

namespace likeness::server {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPieceBytes = 1 << 20;

absl::Status Rename(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus()
                                                    : ErrnoStatus(errno, "put a file into place");
}

// Whether the bytes were what they should be; if not, nothing is left at `to`.
absl::StatusOr<bool> Copy(const std::string& from, const std::string& to,
                          const std::string& sha256) {
  const std::string partial = to + ".partial";
  ASSIGN_OR_RETURN(const File source, File::OpenForReading(from));
  ASSIGN_OR_RETURN(const File target, File::OpenForWriting(partial));
  RETURN_IF_ERROR(target.Truncate(0));
  ASSIGN_OR_RETURN(const int64_t size, source.Size());
  Sha256 hash;
  for (int64_t offset = 0; offset < size; offset += kPieceBytes) {
    ASSIGN_OR_RETURN(const std::string bytes, source.ReadAt(offset, kPieceBytes));
    hash.Update(bytes);
    RETURN_IF_ERROR(target.WriteAt(offset, bytes));
  }
  if (hash.HexDigest() != sha256) {
    unlink(partial.c_str());
    return false;
  }
  if (auto synced = target.Sync(); !synced.ok()) {
    unlink(partial.c_str());
    return synced;
  }
  RETURN_IF_ERROR(Rename(partial, to));
  return true;
}

// The blobs of one backup.
class BlobCopier {
 public:
  BlobCopier(const BackupOptions& options, Backup& backup) : options_(options), backup_(backup) {}

  absl::Status Take(const NamedBlob& blob) {
    if (!taken_.Add(blob.name)) return absl::OkStatus();
    const std::string from = BlobPath(BlobsPath(options_.data_dir), blob.name);
    const std::string to = BlobPath(BlobsPath(options_.out), blob.name);
    const auto size = FileSize(from);
    if (!size) {
      // Only a retry would want it, and does without.
      if (blob.needed_until == absl::InfiniteFuture()) backup_.lacking.push_back(blob.name);
      return absl::OkStatus();
    }
    ++backup_.blobs;
    const std::string directory = fs::path(to).parent_path().string();
    // What is there already need not be durable: the backup that brought it may have been killed.
    directories_.insert(directory);
    directories_.insert(fs::path(directory).parent_path().string());
    if (FileSize(to) == size) return absl::OkStatus();
    RETURN_IF_ERROR(MakeDirectories(directory));
    ASSIGN_OR_RETURN(const bool whole, Bring(from, to, blob.name.sha256));
    if (!whole) {
      --backup_.blobs;
      backup_.lacking.push_back(blob.name);
      return absl::OkStatus();
    }
    ++backup_.fresh;
    backup_.fresh_bytes += *size;
    return absl::OkStatus();
  }

  absl::Status Sync() const {
    for (const std::string& directory : directories_) RETURN_IF_ERROR(SyncDirectory(directory));
    return absl::OkStatus();
  }

  bool Took(const BlobName& name) const { return taken_.Contains(name); }

 private:
  absl::StatusOr<bool> Bring(const std::string& from, const std::string& to,
                             const std::string& sha256) const {
    if (!options_.copy) {
      unlink(to.c_str());  // of another size: not what it should be
      if (link(from.c_str(), to.c_str()) == 0) return true;
      // Another file system, or one that has no hard links.
    }
    return Copy(from, to, sha256);
  }

  const BackupOptions& options_;
  Backup& backup_;
  BlobSet taken_;
  std::set<std::string> directories_;  // of all that the backup holds
};

absl::Status CopyStore(const std::string& from, const std::string& to) {
  unlink(to.c_str());               // of a backup that did not end
  RETURN_IF_ERROR(CheckLog(from));  // no server may have it open
  ASSIGN_OR_RETURN(auto database, Database::Open(from, Database::Mode::kReader));
  RETURN_IF_ERROR(database->PrepareOnce("VACUUM INTO ?").Bind(to).Run());
  ASSIGN_OR_RETURN(const File file, File::OpenForWriting(to));
  return file.Sync();
}

// What an earlier backup holds and this one does not need.
int64_t RemoveOthers(const std::string& root, const BlobCopier& blobs) {
  int64_t removed = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(root, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_regular_file(error)) continue;
    // The layout of BlobPath: a directory for each tenant, and in it one for each two digits.
    const fs::path tenant = entry->path().parent_path().parent_path().filename();
    const std::string digest = entry->path().filename().string();
    if (IsSha256Hex(digest) && blobs.Took({tenant.string(), digest})) continue;
    if (unlink(entry->path().c_str()) == 0) ++removed;
  }
  return removed;
}

}  // namespace

absl::StatusOr<Backup> MakeBackup(const BackupOptions& options) {
  RETURN_IF_ERROR(CheckDataDirectory(options.data_dir));
  if (const auto made = MakeDirectories(BlobsPath(options.out)); !made.ok()) {
    return WithFlag("--out", options.out, made);
  }
  ASSIGN_OR_RETURN(const FileLock mine,
                   FileLock::Take(options.out + "/.backup", FileLock::Kind::kExclusive, false));
  // The server removes no blob as long as this is held; a sweep under way is waited for.
  ASSIGN_OR_RETURN(const FileLock no_sweep,
                   FileLock::Take(SweepLockPath(BlobsPath(options.data_dir)),
                                  FileLock::Kind::kShared, /*wait=*/true));
  const std::string incoming = StorePath(options.out) + ".incoming";
  RETURN_IF_ERROR(CopyStore(StorePath(options.data_dir), incoming));

  Backup backup;
  BlobCopier blobs(options, backup);
  {
    ASSIGN_OR_RETURN(auto database, Database::Open(incoming, Database::Mode::kReader));
    absl::Status status;
    RETURN_IF_ERROR(VisitBlobNames(*database, [&](const NamedBlob& blob) {
      if (status.ok()) status = blobs.Take(blob);
    }));
    RETURN_IF_ERROR(status);
  }
  RETURN_IF_ERROR(blobs.Sync());
  RETURN_IF_ERROR(SyncDirectory(BlobsPath(options.out)));
  RETURN_IF_ERROR(Rename(incoming, StorePath(options.out)));
  RETURN_IF_ERROR(SyncDirectory(options.out));
  backup.removed = RemoveOthers(BlobsPath(options.out), blobs);
  return backup;
}

}  // namespace likeness::server
