// Blobs as files: {root}/{tenant}/{two digits}/{sha256}, and uploads under way in {root}/.uploads/.
// A blob is written there, fsynced, renamed into place, and its directory fsynced. When it was last
// kept is its file's time of modification. Damaged ones are moved to {root}/.damaged/. A backup
// holds {root}/.sweep locked.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "common/clock.h"
#include "server/blobs/blob_store.h"
#include "server/blobs/filesystem/file.h"

namespace likeness::server {

class FilesystemBlobStore : public BlobStore {
 public:
  // Creates the directories. Counts what is there. `clock` must outlive the store.
  static absl::StatusOr<std::unique_ptr<FilesystemBlobStore>> Open(const std::string& root,
                                                                   int64_t max_blob_bytes,
                                                                   const Clock& clock);

  absl::StatusOr<std::unique_ptr<BlobReader>> Open(const BlobName& name) override;
  absl::Status Keep(const BlobName& name) override;
  void KeptLast(const BlobName& name, absl::Time at) override;
  absl::StatusOr<SweptBlobs> Sweep(absl::Time before,
                                   absl::FunctionRef<bool(const BlobName&)> named) override;
  absl::StatusOr<SweptBlobs> Erase(const std::vector<BlobName>& names, absl::Time before) override;
  absl::Status Visit(const std::string& after,
                     absl::FunctionRef<bool(const BlobName&)> visit) override;
  absl::StatusOr<std::unique_ptr<BlobUpload>> Upload(const UploadName& name) override;
  absl::StatusOr<UploadStatus> QueryUpload(const UploadName& name) override;
  absl::StatusOr<BlobName> Put(const std::string& tenant, absl::string_view bytes) override;
  absl::StatusOr<int> DropUploads(absl::Time before) override;
  int64_t total_bytes() const override;
  int64_t bytes_of(const std::string& tenant) const override;
  std::vector<std::string> tenants() const override;
  int64_t unfinished_uploads(const std::string& tenant) const override;
  int64_t damaged() const override;

 private:
  class FileReader;
  class FileUpload;

  FilesystemBlobStore(std::string root, int64_t max_blob_bytes, const Clock& clock)
      : root_(std::move(root)), max_blob_bytes_(max_blob_bytes), clock_(clock) {}

  // INVALID_ARGUMENT: BLOB_TOO_LARGE.
  absl::Status CheckSize(const UploadName& name) const;
  std::string PathOf(const BlobName& name) const;
  std::string PathOf(const UploadName& name) const;
  std::string DamagedPathOf(const BlobName& name) const;
  // Keeps the blob and returns its size, if it is there: durable, not only visible.
  absl::StatusOr<std::optional<int64_t>> KeepFile(const BlobName& name);
  // No backup is made while it is held. UNAVAILABLE: BACKUP_RUNS.
  absl::StatusOr<FileLock> LockAgainstBackups() const;
  // Removes the file if it was still last kept before `before`. Returns its size, or -1.
  int64_t Remove(const BlobName& name, absl::Time before);
  // Moves the file that `reader` read out of the way.
  void SetAside(const BlobName& name, const File& read, int64_t size);
  // The directory of a blob's file is there, durably, and so is what an earlier process left in it.
  absl::Status MakeDurableDirectory(const std::string& directory);
  // An upload is gone on with, and is left again. False: another call is at it.
  bool Enter(const std::string& path, const std::string& tenant);
  void Leave(const std::string& path, const std::string& tenant);
  // Notes that the file was read and found whole, and whether that is not long ago.
  void FoundWhole(const BlobName& name);
  bool WasFoundWhole(const BlobName& name) const;
  // Renames a finished, fsynced upload into place.
  absl::Status Publish(const std::string& upload_path, const BlobName& name, int64_t size_bytes);

  const std::string root_;
  const int64_t max_blob_bytes_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> bytes_ ABSL_GUARDED_BY(mutex_);  // of blobs, by tenant
  // Of uploads that nobody is at, by tenant.
  std::map<std::string, int64_t> unfinished_ ABSL_GUARDED_BY(mutex_);
  std::condition_variable published_;
  // All of paths.
  std::set<std::string> active_uploads_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> publishing_ ABSL_GUARDED_BY(mutex_);  // visible, and not durable yet
  std::set<std::string> durable_directories_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Time> found_whole_ ABSL_GUARDED_BY(mutex_);  // of late, by path
};

}  // namespace likeness::server
