#include "server/blobs/filesystem/filesystem_blob_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/ids.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"

namespace likeness::server {
namespace {

namespace fs = std::filesystem;

constexpr char kUploads[] = "/.uploads";
constexpr int64_t kReadBytes = 1 << 20;

class FileReader : public BlobReader {
 public:
  FileReader(File file, int64_t size) : file_(std::move(file)), size_(size) {}
  int64_t size() const override { return size_; }
  absl::StatusOr<std::string> Read(int64_t offset, int64_t limit) override {
    return file_.ReadAt(offset, limit);
  }

 private:
  const File file_;
  const int64_t size_;
};

std::optional<int64_t> FileSize(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<int64_t>(info.st_size);
}

// A resumed upload continues the hash of what is there.
absl::StatusOr<Sha256> HashOf(const File& file, int64_t size) {
  Sha256 hash;
  for (int64_t offset = 0; offset < size; offset += kReadBytes) {
    ASSIGN_OR_RETURN(std::string bytes, file.ReadAt(offset, kReadBytes));
    hash.Update(bytes);
  }
  return hash;
}

int64_t BytesOf(const std::string& root) {
  int64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(root, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->path().filename() == ".uploads") {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file(error)) {
      bytes += static_cast<int64_t>(entry->file_size(error));
    }
  }
  return bytes;
}

}  // namespace

absl::Status BlobNotFound(const BlobName& name) {
  return RpcError(absl::StatusCode::kNotFound, "BLOB_NOT_FOUND",
                  absl::StrCat("there is no blob ", name.ToString()));
}

class FilesystemBlobStore::FileUpload : public BlobUpload {
 public:
  FileUpload(FilesystemBlobStore& store, UploadName name, std::string path, File file, Sha256 hash,
             int64_t committed_size)
      : store_(store),
        name_(std::move(name)),
        path_(std::move(path)),
        file_(std::move(file)),
        hash_(std::move(hash)),
        committed_size_(committed_size) {}

  ~FileUpload() override {
    std::lock_guard lock(store_.mutex_);
    store_.active_uploads_.erase(path_);
  }

  int64_t committed_size() const override { return committed_size_; }
  bool complete() const override { return false; }

  absl::Status Append(absl::string_view bytes) override {
    const int64_t end = committed_size_ + static_cast<int64_t>(bytes.size());
    if (end > name_.size_bytes) {
      return RpcError(absl::StatusCode::kInvalidArgument, "UPLOAD_TOO_LONG",
                      absl::StrCat(end, " bytes were sent; the name promises ", name_.size_bytes));
    }
    if (auto written = file_.WriteAt(committed_size_, bytes); !written.ok()) {
      (void)file_.Truncate(committed_size_);  // half a chunk is no use, and takes space
      return written;
    }
    hash_.Update(bytes);
    committed_size_ = end;
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    if (committed_size_ != name_.size_bytes) {
      return RpcError(absl::StatusCode::kInvalidArgument, "UPLOAD_TOO_SHORT",
                      absl::StrCat("the upload was finished after ", committed_size_,
                                   " bytes; the name promises ", name_.size_bytes));
    }
    if (const std::string digest = hash_.HexDigest(); digest != name_.sha256) {
      unlink(path_.c_str());
      return RpcError(
          absl::StatusCode::kInvalidArgument, "BLOB_DIGEST_MISMATCH",
          absl::StrCat("the bytes have SHA-256 ", digest, "; the name promises ", name_.sha256));
    }
    RETURN_IF_ERROR(file_.Sync());
    return store_.Publish(path_, name_.blob(), name_.size_bytes);
  }

 private:
  FilesystemBlobStore& store_;
  const UploadName name_;
  const std::string path_;
  const File file_;
  Sha256 hash_;
  int64_t committed_size_;
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

absl::StatusOr<std::unique_ptr<FilesystemBlobStore>> FilesystemBlobStore::Open(
    const std::string& root, int64_t max_blob_bytes) {
  RETURN_IF_ERROR(MakeDirectories(root + kUploads));
  std::unique_ptr<FilesystemBlobStore> store(new FilesystemBlobStore(root, max_blob_bytes));
  store->total_bytes_ = BytesOf(root);
  return store;
}

std::string FilesystemBlobStore::PathOf(const BlobName& name) const {
  return absl::StrCat(root_, "/", name.tenant, "/", name.sha256.substr(0, 2), "/", name.sha256);
}

std::string FilesystemBlobStore::PathOf(const UploadName& name) const {
  return absl::StrCat(root_, kUploads, "/", Sha256Hex(name.ToString()));
}

absl::StatusOr<std::unique_ptr<BlobReader>> FilesystemBlobStore::Open(const BlobName& name) {
  auto file = File::OpenForReading(PathOf(name));
  if (absl::IsNotFound(file.status())) return BlobNotFound(name);
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(int64_t size, file->Size());
  return std::make_unique<FileReader>(*std::move(file), size);
}

absl::StatusOr<std::unique_ptr<BlobUpload>> FilesystemBlobStore::Upload(const UploadName& name) {
  if (name.size_bytes > max_blob_bytes_) {
    return RpcError(absl::StatusCode::kInvalidArgument, "BLOB_TOO_LARGE",
                    absl::StrCat("a blob of ", name.size_bytes, " bytes; at most ", max_blob_bytes_,
                                 " are allowed"));
  }
  if (auto size = FileSize(PathOf(name.blob()))) return std::make_unique<CompleteUpload>(*size);
  const std::string path = PathOf(name);
  {
    std::lock_guard lock(mutex_);
    if (!active_uploads_.insert(path).second) {
      return RpcError(absl::StatusCode::kAborted, "UPLOAD_IN_PROGRESS",
                      "another call is writing this upload; try again when it has ended");
    }
  }
  auto opened = [&]() -> absl::StatusOr<std::unique_ptr<BlobUpload>> {
    ASSIGN_OR_RETURN(File file, File::OpenForWriting(path));
    ASSIGN_OR_RETURN(int64_t size, file.Size());
    ASSIGN_OR_RETURN(Sha256 hash, HashOf(file, size));
    return std::make_unique<FileUpload>(*this, name, path, std::move(file), std::move(hash), size);
  }();
  if (!opened.ok()) {
    std::lock_guard lock(mutex_);
    active_uploads_.erase(path);
  }
  return opened;
}

absl::StatusOr<UploadStatus> FilesystemBlobStore::QueryUpload(const UploadName& name) {
  if (auto size = FileSize(PathOf(name.blob()))) return UploadStatus{*size, true};
  if (auto size = FileSize(PathOf(name))) return UploadStatus{*size, false};
  return RpcError(absl::StatusCode::kNotFound, "UPLOAD_NOT_FOUND",
                  "nothing of this upload is kept; begin at offset 0");
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

absl::Status FilesystemBlobStore::Publish(const std::string& upload_path, const BlobName& name,
                                          int64_t size_bytes) {
  const std::string path = PathOf(name);
  const std::string directory = fs::path(path).parent_path().string();
  RETURN_IF_ERROR(MakeDirectories(directory));
  const bool was_there = FileSize(path).has_value();
  if (rename(upload_path.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "store a blob");
  if (!was_there) total_bytes_ += size_bytes;
  return SyncDirectory(directory);
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
    if (absl::FromTimeT(info.st_mtime) < before && unlink(path.c_str()) == 0) ++dropped;
  }
  return dropped;
}

}  // namespace likeness::server
