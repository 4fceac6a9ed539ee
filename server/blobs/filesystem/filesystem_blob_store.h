// Blobs as files: {root}/{tenant}/{two digits}/{sha256}, and uploads under way in {root}/.uploads/.
// A blob is written there, fsynced, renamed into place, and its directory fsynced.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

class FilesystemBlobStore : public BlobStore {
 public:
  // Creates the directories. Counts what is there.
  static absl::StatusOr<std::unique_ptr<FilesystemBlobStore>> Open(const std::string& root,
                                                                   int64_t max_blob_bytes);

  absl::StatusOr<std::unique_ptr<BlobReader>> Open(const BlobName& name) override;
  absl::StatusOr<std::unique_ptr<BlobUpload>> Upload(const UploadName& name) override;
  absl::StatusOr<UploadStatus> QueryUpload(const UploadName& name) override;
  absl::StatusOr<BlobName> Put(const std::string& tenant, absl::string_view bytes) override;
  absl::StatusOr<int> DropUploads(absl::Time before) override;
  int64_t total_bytes() const override { return total_bytes_; }

 private:
  class FileUpload;

  FilesystemBlobStore(std::string root, int64_t max_blob_bytes)
      : root_(std::move(root)), max_blob_bytes_(max_blob_bytes) {}

  std::string PathOf(const BlobName& name) const;
  std::string PathOf(const UploadName& name) const;
  // Renames a finished, fsynced upload into place.
  absl::Status Publish(const std::string& upload_path, const BlobName& name, int64_t size_bytes);

  const std::string root_;
  const int64_t max_blob_bytes_;
  std::atomic<int64_t> total_bytes_ = 0;
  std::mutex mutex_;
  std::set<std::string> active_uploads_ ABSL_GUARDED_BY(mutex_);  // paths
};

}  // namespace likeness::server
