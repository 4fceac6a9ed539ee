// Uploads of a FilesystemBlobStore: files beside the blobs, until they are whole and take their
// place.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/ids.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/blobs/filesystem/layout.h"

namespace likeness::server {
namespace {

namespace fs = std::filesystem;

}  // namespace

absl::Status UploadNotFound() {
  return RpcError(absl::StatusCode::kNotFound, "UPLOAD_NOT_FOUND",
                  "nothing of this upload is kept; begin at offset 0");
}

class FilesystemBlobStore::FileUpload : public BlobUpload {
 public:
  FileUpload(FilesystemBlobStore& store, UploadName name, std::string path, File file,
             int64_t committed_size)
      : store_(store),
        name_(std::move(name)),
        path_(std::move(path)),
        file_(std::move(file)),
        committed_size_(committed_size) {
    if (committed_size == 0) hash_.emplace();
  }

  ~FileUpload() override { store_.Leave(path_, name_.tenant); }

  int64_t committed_size() const override { return committed_size_; }
  bool complete() const override { return false; }

  absl::Status Append(absl::string_view bytes) override {
    const int64_t end = committed_size_ + static_cast<int64_t>(bytes.size());
    if (end > name_.size_bytes) {
      return RpcError(absl::StatusCode::kInvalidArgument, "UPLOAD_TOO_LONG",
                      absl::StrCat(end, " bytes were sent; the name promises ", name_.size_bytes));
    }
    if (dropped_) return UploadNotFound();
    if (auto written = file_.WriteAt(committed_size_, bytes); !written.ok()) {
      // Half a chunk is no use, and takes space.
      const bool full = absl::IsResourceExhausted(written);
      if (!full || !file_.Truncate(committed_size_).ok()) Drop();
      return written;
    }
    if (hash_) hash_->Update(bytes);
    committed_size_ = end;
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    if (committed_size_ != name_.size_bytes) {
      return RpcError(absl::StatusCode::kInvalidArgument, "UPLOAD_TOO_SHORT",
                      absl::StrCat("the upload was finished after ", committed_size_,
                                   " bytes; the name promises ", name_.size_bytes));
    }
    if (dropped_) return UploadNotFound();
    if (!hash_) {
      ASSIGN_OR_RETURN(hash_, HashOf(file_, committed_size_));
    }
    if (const std::string digest = hash_->HexDigest(); digest != name_.sha256) {
      unlink(path_.c_str());
      return RpcError(
          absl::StatusCode::kInvalidArgument, "BLOB_DIGEST_MISMATCH",
          absl::StrCat("the bytes have SHA-256 ", digest, "; the name promises ", name_.sha256));
    }
    RETURN_IF_ERROR(file_.Touch(store_.clock_.Now()));
    if (auto synced = file_.Sync(); !synced.ok()) {
      Drop();  // to sync it again would say that all is well, though the pages may be gone
      return synced;
    }
    return store_.Publish(path_, name_.blob(), name_.size_bytes);
  }

 private:
  void Drop() {
    dropped_ = true;
    unlink(path_.c_str());
  }

  FilesystemBlobStore& store_;
  const UploadName name_;
  const std::string path_;
  const File file_;
  // Of what was appended; nothing if an earlier call has begun: then all is read again in the end,
  // and once, however many parts there are.
  std::optional<Sha256> hash_;
  int64_t committed_size_;
  bool dropped_ = false;
};

namespace {

// The upload of a blob that is there already.
class CompleteUpload : public BlobUpload {
 public:
  explicit CompleteUpload(int64_t size) : size_(size) {}
  int64_t committed_size() const override { return size_; }
  bool complete() const override { return true; }
  absl::Status Append(absl::string_view) override { return absl::OkStatus(); }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  const int64_t size_;
};

}  // namespace

absl::Status FilesystemBlobStore::CheckSize(const UploadName& name) const {
  if (name.size_bytes <= max_blob_bytes_) return absl::OkStatus();
  return RpcError(absl::StatusCode::kInvalidArgument, "BLOB_TOO_LARGE",
                  absl::StrCat("a blob of ", name.size_bytes, " bytes; at most ", max_blob_bytes_,
                               " are allowed"),
                  {{"limit", absl::StrCat(max_blob_bytes_)}});
}

absl::StatusOr<std::unique_ptr<BlobUpload>> FilesystemBlobStore::Upload(const UploadName& name) {
  RETURN_IF_ERROR(CheckSize(name));
  ASSIGN_OR_RETURN(const std::optional<int64_t> complete, KeepFile(name.blob()));
  if (complete) return std::make_unique<CompleteUpload>(*complete);
  const std::string path = PathOf(name);
  if (!Enter(path, name.tenant)) {
    return RpcError(absl::StatusCode::kAborted, "UPLOAD_IN_PROGRESS",
                    "another call is writing this upload; try again when it has ended");
  }
  auto opened = [&]() -> absl::StatusOr<std::unique_ptr<BlobUpload>> {
    ASSIGN_OR_RETURN(File file, File::OpenForWriting(path));
    ASSIGN_OR_RETURN(int64_t size, file.Size());
    return std::make_unique<FileUpload>(*this, name, path, std::move(file), size);
  }();
  if (!opened.ok()) Leave(path, name.tenant);
  return opened;
}

bool FilesystemBlobStore::Enter(const std::string& path, const std::string& tenant) {
  std::lock_guard lock(mutex_);
  if (!active_uploads_.insert(path).second) return false;
  unfinished_[tenant] -= FileSize(path).value_or(0);
  return true;
}

void FilesystemBlobStore::Leave(const std::string& path, const std::string& tenant) {
  std::lock_guard lock(mutex_);
  active_uploads_.erase(path);
  unfinished_[tenant] += FileSize(path).value_or(0);
}

absl::StatusOr<UploadStatus> FilesystemBlobStore::QueryUpload(const UploadName& name) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> complete, KeepFile(name.blob()));
  if (complete) return UploadStatus{*complete, true};
  if (auto size = FileSize(PathOf(name))) return UploadStatus{*size, false};
  RETURN_IF_ERROR(CheckSize(name));
  return UploadNotFound();
}

absl::StatusOr<BlobName> FilesystemBlobStore::Put(const std::string& tenant,
                                                  absl::string_view bytes) {
  const UploadName name{tenant, RandomUuid(), Sha256Hex(bytes), static_cast<int64_t>(bytes.size())};
  ASSIGN_OR_RETURN(auto upload, Upload(name));
  auto stored = upload->Append(bytes);
  if (stored.ok()) stored = upload->Finish();
  if (!stored.ok()) {
    unlink(PathOf(name).c_str());  // nobody knows the name, so nobody could resume it
    return stored;
  }
  return name.blob();
}

absl::Status FilesystemBlobStore::MakeDurableDirectory(const std::string& directory) {
  {
    std::lock_guard lock(mutex_);
    if (durable_directories_.count(directory)) return absl::OkStatus();
  }
  // What is there need not be durable: another call may have made it just now, or an earlier
  // process that was killed. So it may be with the names that stand in it.
  auto made = MakeDirectories(directory);
  if (made.ok()) made = SyncDirectory(fs::path(directory).parent_path().string());
  if (made.ok()) made = SyncDirectory(root_);
  if (made.ok()) made = SyncDirectory(directory);
  if (!made.ok()) {
    rmdir(directory.c_str());  // made anew by the next one; nothing is in it
    return made;
  }
  std::lock_guard lock(mutex_);
  durable_directories_.insert(directory);
  return absl::OkStatus();
}

absl::Status FilesystemBlobStore::Publish(const std::string& upload_path, const BlobName& name,
                                          int64_t size_bytes) {
  const std::string path = PathOf(name);
  const std::string directory = fs::path(path).parent_path().string();
  RETURN_IF_ERROR(MakeDurableDirectory(directory));
  bool was_there = false;
  {
    std::unique_lock lock(mutex_);
    // If another call that is at this blob fails, its file goes again.
    published_.wait(lock, [&] { return !publishing_.count(path); });
    was_there = FileSize(path).has_value();
    if (rename(upload_path.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "store a blob");
    if (!was_there) bytes_[name.tenant] += size_bytes;
    publishing_.insert(path);
    unlink(DamagedPathOf(name).c_str());
  }
  const absl::Status durable = SyncDirectory(directory);
  {
    std::lock_guard lock(mutex_);
    publishing_.erase(path);
    // Whoever asked next would be told that it is there, though a loss of power may take its name.
    if (!durable.ok() && !was_there && unlink(path.c_str()) == 0) {
      bytes_[name.tenant] -= size_bytes;
    }
    if (!durable.ok()) durable_directories_.erase(directory);
  }
  published_.notify_all();
  return durable;
}

absl::StatusOr<int> FilesystemBlobStore::DropUploads(absl::Time before) {
  int dropped = 0;
  std::error_code error;
  for (auto entry = fs::directory_iterator(root_ + kUploads, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string path = entry->path().string();
    std::lock_guard lock(mutex_);
    struct stat info;
    if (active_uploads_.count(path) || stat(path.c_str(), &info) != 0) continue;
    if (absl::FromTimeT(info.st_mtime) >= before || unlink(path.c_str()) != 0) continue;
    unfinished_[TenantOfUpload(entry->path().filename().string())] -= info.st_size;
    ++dropped;
  }
  return dropped;
}

}  // namespace likeness::server
