#include "server/blobs/filesystem/filesystem_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"
#include "server/blobs/filesystem/layout.h"

namespace likeness::server {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPieceBytes = 1 << 20;    // read at a time
constexpr int64_t kSkippedBytes = 8 << 20;  // by one call
constexpr absl::Duration kWholeFor = absl::Minutes(10);
constexpr size_t kMaxFoundWhole = 1000;

// The names in a directory, in order; none if it cannot be read.
std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = fs::directory_iterator(directory, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

int64_t BytesIn(const std::string& folder) {
  int64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (IsSha256Hex(entry->path().filename().string())) {
      bytes += static_cast<int64_t>(entry->file_size(error));
    }
  }
  return bytes;
}

}  // namespace

absl::Status BlobNotFound(const BlobName& name) {
  return RpcError(absl::StatusCode::kNotFound, "BLOB_NOT_FOUND",
                  absl::StrCat("there is no blob ", name.ToString()),
                  {{"resource", name.ToString()}});
}

absl::Status BlobDamaged(const BlobName& name) {
  return RpcError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED",
                  absl::StrCat("the bytes of ", name.ToString(),
                               " were damaged on the disk; whoever has them can upload it again"));
}

class FilesystemBlobStore::FileReader : public BlobReader {
 public:
  FileReader(FilesystemBlobStore& store, BlobName name, File file, int64_t size)
      : store_(store), name_(std::move(name)), file_(std::move(file)), size_(size) {}

  int64_t size() const override { return size_; }

  absl::StatusOr<std::string> Read(int64_t offset, int64_t limit) override {
    auto read = file_.ReadAt(offset, limit);
    if (absl::IsDataLoss(read.status())) return Damaged();
    ASSIGN_OR_RETURN(std::string bytes, std::move(read));
    if (offset != hashed_ || checked_) return bytes;
    hash_.Update(bytes);
    hashed_ += static_cast<int64_t>(bytes.size());
    if (hashed_ < size_) return bytes;
    checked_ = true;
    if (hash_.HexDigest() != name_.sha256) return Damaged();
    store_.FoundWhole(name_);
    return bytes;
  }

  absl::StatusOr<bool> SkipTo(int64_t end) override {
    const int64_t stop = std::min(end, hashed_ + kSkippedBytes);
    while (hashed_ < stop || (size_ == 0 && !checked_)) {
      const int64_t before = hashed_;
      RETURN_IF_ERROR(Read(hashed_, std::min(kPieceBytes, stop - hashed_)).status());
      if (hashed_ == before && size_ > 0) return Damaged();  // cut since it was opened
    }
    return hashed_ >= end;
  }

  bool found_whole() const override { return store_.WasFoundWhole(name_); }

 private:
  absl::Status Damaged() {
    store_.SetAside(name_, file_, size_);
    return BlobDamaged(name_);
  }

  FilesystemBlobStore& store_;
  const BlobName name_;
  const File file_;
  const int64_t size_;
  Sha256 hash_;
  int64_t hashed_ = 0;
  bool checked_ = false;
};

absl::StatusOr<std::unique_ptr<FilesystemBlobStore>> FilesystemBlobStore::Open(
    const std::string& root, int64_t max_blob_bytes, const Clock& clock) {
  RETURN_IF_ERROR(MakeDirectories(root + kUploads));
  RETURN_IF_ERROR(MakeDirectories(root + kDamaged));
  std::unique_ptr<FilesystemBlobStore> store(new FilesystemBlobStore(root, max_blob_bytes, clock));
  std::lock_guard lock(store->mutex_);
  for (const std::string& tenant : NamesIn(root)) {
    if (!tenant.starts_with('.')) store->bytes_[tenant] = BytesIn(absl::StrCat(root, "/", tenant));
  }
  for (const std::string& name : NamesIn(root + kUploads)) {
    store->unfinished_[TenantOfUpload(name)] +=
        FileSize(absl::StrCat(root, kUploads, "/", name)).value_or(0);
  }
  return store;
}

std::string FilesystemBlobStore::PathOf(const BlobName& name) const {
  return BlobPath(root_, name);
}

std::string FilesystemBlobStore::PathOf(const UploadName& name) const {
  return UploadPath(root_, name);
}

std::string FilesystemBlobStore::DamagedPathOf(const BlobName& name) const {
  return absl::StrCat(root_, kDamaged, "/", name.tenant, ".", name.sha256);
}

absl::StatusOr<std::unique_ptr<BlobReader>> FilesystemBlobStore::Open(const BlobName& name) {
  auto file = File::OpenForReading(PathOf(name));
  if (absl::IsNotFound(file.status())) {
    return FileSize(DamagedPathOf(name)) ? BlobDamaged(name) : BlobNotFound(name);
  }
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(int64_t size, file->Size());
  return std::make_unique<FileReader>(*this, name, *std::move(file), size);
}

absl::StatusOr<std::optional<int64_t>> FilesystemBlobStore::KeepFile(const BlobName& name) {
  const std::string path = PathOf(name);
  const timespec now = absl::ToTimespec(clock_.Now());
  const timespec times[2] = {now, now};
  std::optional<int64_t> size;
  {
    std::unique_lock lock(mutex_);
    published_.wait(lock, [&] { return !publishing_.count(path); });
    if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return std::nullopt;
    size = FileSize(path);
  }
  RETURN_IF_ERROR(MakeDurableDirectory(fs::path(path).parent_path().string()));
  return size;
}

absl::Status FilesystemBlobStore::Keep(const BlobName& name) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> size, KeepFile(name));
  return size ? absl::OkStatus() : BlobNotFound(name);
}

void FilesystemBlobStore::KeptLast(const BlobName& name, absl::Time at) {
  const std::string path = PathOf(name);
  const timespec times[2] = {absl::ToTimespec(at), absl::ToTimespec(at)};
  std::lock_guard lock(mutex_);
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || absl::TimeFromTimespec(info.st_mtim) <= at) return;
  utimensat(AT_FDCWD, path.c_str(), times, 0);
}

int64_t FilesystemBlobStore::Remove(const BlobName& name, absl::Time before) {
  const std::string path = PathOf(name);
  std::lock_guard lock(mutex_);  // nobody keeps it between the look and the end
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return -1;
  if (absl::TimeFromTimespec(info.st_mtim) >= before || unlink(path.c_str()) != 0) return -1;
  bytes_[name.tenant] -= info.st_size;
  return info.st_size;
}

absl::StatusOr<FileLock> FilesystemBlobStore::LockAgainstBackups() const {
  auto lock = FileLock::Take(SweepLockPath(root_), FileLock::Kind::kExclusive, /*wait=*/false);
  if (absl::IsUnavailable(lock.status())) {
    return RpcError(absl::StatusCode::kUnavailable, "BACKUP_RUNS",
                    "a backup is being made; no blob is removed meanwhile");
  }
  return lock;
}

absl::StatusOr<SweptBlobs> FilesystemBlobStore::Erase(const std::vector<BlobName>& names,
                                                      absl::Time before) {
  ASSIGN_OR_RETURN(const FileLock lock, LockAgainstBackups());
  SweptBlobs swept;
  for (const BlobName& name : names) {
    unlink(DamagedPathOf(name).c_str());
    if (const int64_t bytes = Remove(name, before); bytes >= 0) {
      ++swept.blobs;
      swept.bytes += bytes;
    }
  }
  return swept;
}

absl::StatusOr<SweptBlobs> FilesystemBlobStore::Sweep(
    absl::Time before, absl::FunctionRef<bool(const BlobName&)> named) {
  ASSIGN_OR_RETURN(const FileLock lock, LockAgainstBackups());
  SweptBlobs swept;
  RETURN_IF_ERROR(Visit("", [&](const BlobName& name) {
    const std::string path = PathOf(name);
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return true;
    if (absl::TimeFromTimespec(info.st_mtim) >= before || named(name)) return true;
    if (const int64_t bytes = Remove(name, before); bytes >= 0) {
      ++swept.blobs;
      swept.bytes += bytes;
    }
    return true;
  }));
  return swept;
}

absl::Status FilesystemBlobStore::Visit(const std::string& after,
                                        absl::FunctionRef<bool(const BlobName&)> visit) {
  for (const std::string& tenant : NamesIn(root_)) {
    if (tenant.starts_with('.')) continue;
    for (const std::string& digits : NamesIn(absl::StrCat(root_, "/", tenant))) {
      // The last name that may lie here: a directory that was done is not read again.
      if (BlobName{tenant, digits + "~"}.ToString() <= after) continue;
      for (const std::string& sha256 : NamesIn(absl::StrCat(root_, "/", tenant, "/", digits))) {
        const BlobName name{tenant, sha256};
        if (!IsSha256Hex(sha256) || name.ToString() <= after) continue;
        if (!visit(name)) return absl::OkStatus();
      }
    }
  }
  return absl::OkStatus();
}

void FilesystemBlobStore::SetAside(const BlobName& name, const File& read, int64_t size) {
  const std::string path = PathOf(name);
  const std::string aside = DamagedPathOf(name);
  std::lock_guard lock(mutex_);
  if (!read.IsAt(path) || rename(path.c_str(), aside.c_str()) != 0) return;
  if (!read.IsAt(aside)) {  // another process has put a good one there in between
    (void)rename(aside.c_str(), path.c_str());
    return;
  }
  bytes_[name.tenant] -= size;
  found_whole_.erase(path);
  LogError("blob damaged", {{"blob", name.ToString()}});
}

void FilesystemBlobStore::FoundWhole(const BlobName& name) {
  std::lock_guard lock(mutex_);
  if (found_whole_.size() >= kMaxFoundWhole) found_whole_.clear();
  found_whole_[PathOf(name)] = clock_.Steady();
}

bool FilesystemBlobStore::WasFoundWhole(const BlobName& name) const {
  std::lock_guard lock(mutex_);
  const auto found = found_whole_.find(PathOf(name));
  return found != found_whole_.end() && clock_.Steady() - found->second < kWholeFor;
}

int64_t FilesystemBlobStore::total_bytes() const {
  std::lock_guard lock(mutex_);
  int64_t total = 0;
  for (const auto& [tenant, bytes] : bytes_) total += bytes;
  return total;
}

int64_t FilesystemBlobStore::bytes_of(const std::string& tenant) const {
  const auto in = [&tenant](const std::map<std::string, int64_t>& bytes) {
    const auto found = bytes.find(tenant);
    return found == bytes.end() ? 0 : found->second;
  };
  std::lock_guard lock(mutex_);
  return in(bytes_) + in(unfinished_);
}

std::vector<std::string> FilesystemBlobStore::tenants() const {
  std::set<std::string> tenants;
  std::lock_guard lock(mutex_);
  for (const auto* bytes : {&bytes_, &unfinished_}) {
    for (const auto& [tenant, count] : *bytes) tenants.insert(tenant);
  }
  return {tenants.begin(), tenants.end()};
}

int64_t FilesystemBlobStore::unfinished_uploads(const std::string& tenant) const {
  const auto names = NamesIn(root_ + kUploads);
  return std::count_if(names.begin(), names.end(),
                       [&](const std::string& name) { return TenantOfUpload(name) == tenant; });
}

int64_t FilesystemBlobStore::damaged() const {
  return static_cast<int64_t>(NamesIn(root_ + kDamaged).size());
}

}  // namespace likeness::server
