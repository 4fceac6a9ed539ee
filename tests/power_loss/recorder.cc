// A library for LD_PRELOAD that notes every change to files below a directory, in order, and every
// fsync: what a disk would have been told. power_loss_test rebuilds from that what a loss of power
// would have left at any moment.
//
// To show that the test sees a missing fsync, this forgets some: LIKENESS_RECORD_FORGET names
// "store" (files of the database), "store-directory", "blobs" or "blob-directories". The server
// calls them all the same; to whoever reads the log it looks as if it did not.
//
// It also plays a disk that hangs: while the file that LIKENESS_RECORD_HANG names is there, writes
// and fsyncs below the directory do not return.
//
// Only what our programs and SQLite call is taken over; SQLite's shared memory, which nobody needs
// after a crash, is left out.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "tests/power_loss/record.h"

namespace likeness::testing {
namespace {

struct OpenFile {
  uint64_t file = 0;  // 0: a directory
  std::string path;
};

// Never destroyed: other threads write until the very end.
struct Recorder {
  std::mutex mutex;  // also over each call itself, so that the log has their order
  std::string root;
  std::string forget;
  int log = -1;
  uint64_t last_file = 0;
  std::map<int, OpenFile> open;
  std::map<ino_t, uint64_t> files;  // that have a name

  Recorder() {
    if (const char* text = getenv(kRecordRoot)) root = text;
    if (const char* text = getenv(kRecordForget)) forget = text;
    if (const char* path = getenv(kRecordLog)) {
      log = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    }
  }

  bool Concerns(std::string_view path) const {
    if (log < 0 || path.substr(0, root.size()) != root) return false;
    return path.size() < 4 || path.substr(path.size() - 4) != "-shm";
  }

  void Note(Op op, uint64_t file, uint64_t number, std::string_view path,
            std::string_view data = {}) const {
    const Header header = {op, static_cast<uint32_t>(path.size()), file, number, data.size()};
    std::string record(reinterpret_cast<const char*>(&header), sizeof(header));
    record.append(path).append(data);
    if (syscall(SYS_write, log, record.data(), record.size()) != static_cast<long>(record.size())) {
      abort();
    }
  }

  void NoteFailure() const {
    const int error = errno;
    Note(Op::kFailed, 0, 0, "");
    errno = error;
  }

  void Opened(int descriptor, const char* path, bool truncated) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) return;
    if (S_ISDIR(info.st_mode)) {
      open[descriptor] = {0, path};
      return;
    }
    auto [found, fresh] = files.try_emplace(info.st_ino, last_file + 1);
    if (fresh) Note(Op::kFile, ++last_file, static_cast<uint64_t>(info.st_size), path);
    open[descriptor] = {found->second, path};
    if (truncated) Note(Op::kTruncate, found->second, 0, path);
  }

  // The name goes; a file without a name is none for us.
  void Forget(const char* path) {
    struct stat info;
    if (lstat(path, &info) == 0 && info.st_nlink == 1) files.erase(info.st_ino);
  }

  void Synced(const OpenFile& file) const {
    const bool blob = file.path.find("/blobs") != std::string::npos;
    const std::string kind = file.file == 0 ? (blob ? "blob-directories" : "store-directory")
                                            : (blob ? "blobs" : "store");
    if (kind == forget) return;
    Note(file.file == 0 ? Op::kSyncDirectory : Op::kSync, file.file, 0, file.path);
  }
};

Recorder& Self() {
  static Recorder& recorder = *new Recorder;
  return recorder;
}

int Open(int directory, const char* path, int flags, mode_t mode) {
  Recorder& self = Self();
  std::lock_guard lock(self.mutex);
  const auto descriptor =
      static_cast<int>(syscall(SYS_openat, directory, path, flags | O_LARGEFILE, mode));
  if (descriptor < 0) return descriptor;
  const int error = errno;
  if (self.Concerns(path)) self.Opened(descriptor, path, (flags & O_TRUNC) != 0);
  errno = error;
  return descriptor;
}

// Other files go on meanwhile, so the lock is not held.
void WaitWhileHung(Recorder& self, int descriptor) {
  static const char* const flag = getenv(kRecordHang);
  if (flag == nullptr) return;
  {
    std::lock_guard lock(self.mutex);
    if (self.open.count(descriptor) == 0) return;
  }
  const int error = errno;
  while (access(flag, F_OK) == 0) usleep(10000);
  errno = error;
}

ssize_t Write(int descriptor, const void* data, size_t size, off_t offset) {
  Recorder& self = Self();
  WaitWhileHung(self, descriptor);
  std::lock_guard lock(self.mutex);
  const auto file = self.open.find(descriptor);
  if (file == self.open.end()) {
    return offset < 0 ? syscall(SYS_write, descriptor, data, size)
                      : syscall(SYS_pwrite64, descriptor, data, size, offset);
  }
  const off_t place = offset < 0 ? syscall(SYS_lseek, descriptor, 0, SEEK_CUR) : offset;
  const auto note = [&](size_t bytes) {
    self.Note(Op::kWrite, file->second.file, static_cast<uint64_t>(place), "",
              {static_cast<const char*>(data), bytes});
  };
  note(size);
  const ssize_t written = offset < 0 ? syscall(SYS_write, descriptor, data, size)
                                     : syscall(SYS_pwrite64, descriptor, data, size, offset);
  if (written < static_cast<ssize_t>(size)) {
    self.NoteFailure();
    if (written > 0) note(static_cast<size_t>(written));
  }
  return written;
}

int Truncate(int descriptor, off_t size) {
  Recorder& self = Self();
  std::lock_guard lock(self.mutex);
  const auto result = static_cast<int>(syscall(SYS_ftruncate, descriptor, size));
  const auto file = self.open.find(descriptor);
  if (result == 0 && file != self.open.end()) {
    self.Note(Op::kTruncate, file->second.file, static_cast<uint64_t>(size), "");
  }
  return result;
}

int Sync(long number, int descriptor) {
  Recorder& self = Self();
  WaitWhileHung(self, descriptor);
  std::lock_guard lock(self.mutex);
  const auto result = static_cast<int>(syscall(number, descriptor));
  const auto file = self.open.find(descriptor);
  if (result == 0 && file != self.open.end()) self.Synced(file->second);
  return result;
}

}  // namespace
}  // namespace likeness::testing

using likeness::testing::Op;
using likeness::testing::Recorder;
using likeness::testing::Self;

#define MODE_OF(flags)                \
  mode_t mode = 0;                    \
  if (((flags)&O_CREAT) != 0) {       \
    va_list arguments;                \
    va_start(arguments, flags);       \
    mode = va_arg(arguments, mode_t); \
    va_end(arguments);                \
  }

extern "C" {

int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  return likeness::testing::Open(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  return likeness::testing::Open(AT_FDCWD, path, flags, mode);
}
int __open_2(const char* path, int flags) {
  return likeness::testing::Open(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char* path, int flags) {
  return likeness::testing::Open(AT_FDCWD, path, flags, 0);
}
int close(int descriptor) {
  Recorder& self = Self();
  std::lock_guard lock(self.mutex);
  self.open.erase(descriptor);
  return static_cast<int>(syscall(SYS_close, descriptor));
}
ssize_t write(int descriptor, const void* data, size_t size) {
  return likeness::testing::Write(descriptor, data, size, -1);
}
ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  return likeness::testing::Write(descriptor, data, size, offset);
}
ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
  return likeness::testing::Write(descriptor, data, size, offset);
}
int ftruncate(int descriptor, off_t size) noexcept {
  return likeness::testing::Truncate(descriptor, size);
}
int ftruncate64(int descriptor, off64_t size) noexcept {
  return likeness::testing::Truncate(descriptor, size);
}
int fsync(int descriptor) { return likeness::testing::Sync(SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return likeness::testing::Sync(SYS_fdatasync, descriptor); }
int mkdir(const char* path, mode_t mode) noexcept {
  Recorder& self = Self();
  std::lock_guard lock(self.mutex);
  const bool concerns = self.Concerns(path);
  if (concerns) self.Note(Op::kMakeDirectory, 0, 0, path);
  const auto result = static_cast<int>(syscall(SYS_mkdir, path, mode));
  if (result != 0 && concerns) self.NoteFailure();
  return result;
}
int rename(const char* from, const char* to) noexcept {
  Recorder& self = Self();
  std::lock_guard lock(self.mutex);
  const bool concerns = self.Concerns(to);
  if (concerns) {
    self.Forget(to);
    self.Note(Op::kRename, 0, 0, from, to);
  }
  const auto result = static_cast<int>(syscall(SYS_rename, from, to));
  if (result != 0 && concerns) self.NoteFailure();
  return result;
}
int unlink(const char* path) noexcept {
  Recorder& self = Self();
  std::lock_guard lock(self.mutex);
  struct stat info;
  const bool concerns = self.Concerns(path) && lstat(path, &info) == 0;
  if (concerns) self.Forget(path);
  const auto result = static_cast<int>(syscall(SYS_unlink, path));
  if (result == 0 && concerns) self.Note(Op::kUnlink, 0, 0, path);
  return result;
}

}  // extern "C"
