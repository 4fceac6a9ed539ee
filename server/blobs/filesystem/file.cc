#include "server/blobs/filesystem/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

// Left on the disk for the job store: a job whose blobs find no room must still be able to say so.
constexpr uint64_t kReservedBytes = 1 << 20;

constexpr int64_t kPieceBytes = 1 << 20;  // read at a time

absl::StatusOr<int> OpenDescriptor(const std::string& path, int flags) {
  int descriptor;
  do {
    descriptor = open(path.c_str(), flags | O_CLOEXEC, 0640);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return ErrnoStatus(errno, "open a file");
  return descriptor;
}

// The parent of a directory is there when it is made: a file system that says ENOENT all the same,
// as /proc does, allows no directory.
absl::Status NotMade(int error) {
  if (error != ENOENT) return ErrnoStatus(error, "make a directory");
  return RpcError(absl::StatusCode::kInternal, "STORAGE_FAILED",
                  "could not make a directory: its file system allows none there");
}

}  // namespace

absl::Status ErrnoStatus(int error, absl::string_view action) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return RpcError(absl::StatusCode::kResourceExhausted, "STORAGE_FULL",
                      absl::StrCat("no space is left to ", action));
    case ENOENT:
      return RpcError(absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                      absl::StrCat("could not ", action, ": it is not there"));
    case EIO:
      return RpcError(absl::StatusCode::kDataLoss, "STORAGE_DAMAGED",
                      absl::StrCat("could not ", action, ": ", strerror(error)));
    default:
      return RpcError(absl::StatusCode::kInternal, "STORAGE_FAILED",
                      absl::StrCat("could not ", action, ": ", strerror(error)));
  }
}

absl::StatusOr<File> File::OpenForReading(const std::string& path) {
  ASSIGN_OR_RETURN(int descriptor, OpenDescriptor(path, O_RDONLY));
  return File(descriptor);
}

absl::StatusOr<File> File::OpenForWriting(const std::string& path) {
  ASSIGN_OR_RETURN(int descriptor, OpenDescriptor(path, O_RDWR | O_CREAT));
  return File(descriptor);
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

File::~File() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::StatusOr<int64_t> File::Size() const {
  struct stat info;
  if (fstat(descriptor_, &info) != 0) return ErrnoStatus(errno, "measure a file");
  return static_cast<int64_t>(info.st_size);
}

absl::StatusOr<std::string> File::ReadAt(int64_t offset, int64_t limit) const {
  ASSIGN_OR_RETURN(int64_t size, Size());
  std::string bytes(std::clamp<int64_t>(size - offset, 0, limit), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = pread(descriptor_, bytes.data() + done, bytes.size() - done,
                                offset + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read a file");
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

absl::Status File::WriteAt(int64_t offset, absl::string_view bytes) const {
  struct statvfs disk;
  if (fstatvfs(descriptor_, &disk) == 0 &&
      disk.f_bavail * disk.f_frsize < bytes.size() + kReservedBytes) {
    return ErrnoStatus(ENOSPC, "write a file");
  }
  while (!bytes.empty()) {
    const ssize_t count = pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "write a file");
    bytes.remove_prefix(static_cast<size_t>(count));
    offset += count;
  }
  return absl::OkStatus();
}

absl::Status File::Truncate(int64_t size) const {
  return ftruncate(descriptor_, size) == 0 ? absl::OkStatus()
                                           : ErrnoStatus(errno, "shorten a file");
}

absl::Status File::Sync() const {
  return fsync(descriptor_) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "make a file durable");
}

absl::Status File::Touch(absl::Time time) const {
  const timespec times[2] = {absl::ToTimespec(time), absl::ToTimespec(time)};
  return futimens(descriptor_, times) == 0 ? absl::OkStatus()
                                           : ErrnoStatus(errno, "note a file's time");
}

bool File::IsAt(const std::string& path) const {
  struct stat mine;
  struct stat named;
  return fstat(descriptor_, &mine) == 0 && stat(path.c_str(), &named) == 0 &&
         mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

absl::StatusOr<FileLock> FileLock::Take(const std::string& path, Kind kind, bool wait) {
  ASSIGN_OR_RETURN(int descriptor, OpenDescriptor(path, O_RDWR | O_CREAT));
  FileLock lock(descriptor);
  const int operation = (kind == Kind::kShared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
  int result;
  do {
    result = flock(descriptor, operation);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return lock;
  if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock a file");
  return RpcError(absl::StatusCode::kUnavailable, "LOCKED", "another process holds the lock");
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::optional<int64_t> FileSize(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<int64_t>(info.st_size);
}

absl::StatusOr<Sha256> HashOf(const File& file, int64_t size) {
  Sha256 hash;
  for (int64_t offset = 0; offset < size; offset += kPieceBytes) {
    ASSIGN_OR_RETURN(const std::string bytes, file.ReadAt(offset, kPieceBytes));
    hash.Update(bytes);
  }
  return hash;
}

absl::StatusOr<int64_t> FreeDiskBytes(const std::string& path) {
  struct statvfs disk;
  if (statvfs(path.c_str(), &disk) != 0) return ErrnoStatus(errno, "look at the disk");
  return static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
}

absl::Status SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(int descriptor, OpenDescriptor(path, O_RDONLY | O_DIRECTORY));
  const int result = fsync(descriptor);
  const int error = errno;
  close(descriptor);
  return result == 0 ? absl::OkStatus() : ErrnoStatus(error, "make a directory durable");
}

absl::Status MakeDirectories(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return absl::OkStatus();
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && parent != path) RETURN_IF_ERROR(MakeDirectories(parent));
  if (mkdir(path.c_str(), 0750) == 0) return SyncDirectory(parent.empty() ? "." : parent);
  const int error = errno;
  if (error != EEXIST) return NotMade(error);
  // Another call may have made it meanwhile.
  return std::filesystem::is_directory(path, ignored) ? absl::OkStatus() : NotMade(ENOTDIR);
}

}  // namespace likeness::server
