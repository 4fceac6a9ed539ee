// The library that disk_faults.h describes. Only what our programs and SQLite call is taken over.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/disk_faults.h"

namespace likeness::testing {
namespace {

struct Fault {
  std::string kind;
  std::string part;
  int error = EIO;
};

struct Step {
  int64_t offset;
  int64_t size_before;
  std::string overwritten;
};

// Never destroyed: other threads write until the very end.
struct Disk {
  std::mutex mutex;
  std::string root;
  std::string faults_path;
  timespec read_at = {};
  ino_t read_inode = 0;
  std::vector<Fault> faults;
  int undo = -1;
  std::map<ino_t, std::vector<Step>> unsynced;

  Disk() {
    if (const char* text = getenv(kDiskRoot)) root = text;
    if (const char* text = getenv(kDiskFaults)) faults_path = text;
    if (const char* text = getenv(kDiskUndo)) {
      undo = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    }
  }

  // Reads the faults again if the file is another one.
  void Refresh() {
    struct stat info;
    if (stat(faults_path.c_str(), &info) != 0) return faults.clear();
    if (info.st_ino == read_inode && info.st_mtim.tv_sec == read_at.tv_sec &&
        info.st_mtim.tv_nsec == read_at.tv_nsec) {
      return;
    }
    read_inode = info.st_ino;
    read_at = info.st_mtim;
    faults.clear();
    const auto file =
        static_cast<int>(syscall(SYS_openat, AT_FDCWD, faults_path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text(static_cast<size_t>(info.st_size), '\0');
    const long count = file < 0 ? 0 : syscall(SYS_read, file, text.data(), text.size());
    if (file >= 0) syscall(SYS_close, file);
    std::istringstream lines(text.substr(0, count < 0 ? 0 : static_cast<size_t>(count)));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      Fault fault;
      if (words >> fault.kind >> fault.part) {
        if (int error = 0; words >> error) fault.error = error;
        faults.push_back(fault);
      }
    }
  }

  // The fault of this kind for a file, or nothing.
  const Fault* Find(const char* kind, const std::string& path) {
    Refresh();
    for (const Fault& fault : faults) {
      if (fault.kind == kind && path.find(fault.part) != std::string::npos) return &fault;
    }
    return nullptr;
  }

  int TakeNextSync(const std::string& path) {
    const Fault* fault = Find("fail-next-sync", path);
    if (fault == nullptr) return 0;
    const int error = fault->error;
    faults.erase(faults.begin() + (fault - faults.data()));
    return error;
  }

  void Note(UndoStep::Kind kind, ino_t inode, const Step& step) const {
    if (undo < 0) return;
    const UndoStep header = {kind, static_cast<uint32_t>(step.overwritten.size()), inode,
                             step.offset, step.size_before};
    std::string record(reinterpret_cast<const char*>(&header), sizeof(header));
    record += step.overwritten;
    (void)!syscall(SYS_write, undo, record.data(), record.size());
  }

  void Overwrites(int descriptor, int64_t offset, size_t size) {
    struct stat info;
    if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return;
    Step step = {offset, info.st_size, std::string(size, '\0')};
    const long count =
        syscall(SYS_pread64, descriptor, step.overwritten.data(), step.overwritten.size(), offset);
    step.overwritten.resize(count < 0 ? 0 : static_cast<size_t>(count));
    Note(UndoStep::kOverwritten, info.st_ino, step);
    auto& steps = unsynced[info.st_ino];
    if (info.st_size == 0) steps.clear();  // the number may have been that of a file that is gone
    steps.push_back(std::move(step));
  }

  void Synced(int descriptor) {
    struct stat info;
    if (fstat(descriptor, &info) != 0 || unsynced.erase(info.st_ino) == 0) return;
    Note(UndoStep::kSynced, info.st_ino, {});
    if (unsynced.empty() && undo >= 0) {
      syscall(SYS_ftruncate, undo, 0);
      syscall(SYS_lseek, undo, 0, SEEK_SET);
    }
  }

  void DropUnsynced(int descriptor) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) return;
    auto& steps = unsynced[info.st_ino];
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      syscall(SYS_pwrite64, descriptor, step->overwritten.data(), step->overwritten.size(),
              step->offset);
      syscall(SYS_ftruncate, descriptor, step->size_before);
    }
    unsynced.erase(info.st_ino);
  }
};

Disk& Self() {
  static Disk& disk = *new Disk;
  return disk;
}

// The path of an open file below the root; "" for others, and for SQLite's shared memory.
std::string PathOf(int descriptor) {
  const Disk& self = Self();
  if (self.root.empty()) return "";
  char name[32];
  std::snprintf(name, sizeof(name), "/proc/self/fd/%d", descriptor);
  char path[4096];
  const long count = syscall(SYS_readlinkat, AT_FDCWD, name, path, sizeof(path));
  const std::string text(path, count < 0 ? 0 : static_cast<size_t>(count));
  const bool ours = text.compare(0, self.root.size(), self.root) == 0;
  const bool shared = text.size() > 4 && text.compare(text.size() - 4, 4, "-shm") == 0;
  return ours && !shared ? text : "";
}

// Waits while the disk hangs. 0, or the errno of a fault of this kind.
int Meet(const char* kind, const std::string& path) {
  Disk& self = Self();
  for (;;) {
    {
      std::lock_guard lock(self.mutex);
      const bool reads = std::strcmp(kind, "fail-read") == 0;
      if (reads || self.Find("hang", path) == nullptr) {
        if (std::strcmp(kind, "fail-sync") == 0) {
          if (const int error = self.TakeNextSync(path)) return error;
        }
        const Fault* fault = self.Find(kind, path);
        return fault == nullptr ? 0 : fault->error;
      }
    }
    const timespec moment = {0, 5'000'000};
    nanosleep(&moment, nullptr);
  }
}

ssize_t Write(int descriptor, const void* data, size_t size, off_t offset) {
  const auto write = [&] {
    return offset < 0 ? syscall(SYS_write, descriptor, data, size)
                      : syscall(SYS_pwrite64, descriptor, data, size, offset);
  };
  const std::string path = PathOf(descriptor);
  if (path.empty()) return write();
  if (const int error = Meet("fail-write", path)) return errno = error, -1;
  Disk& self = Self();
  std::lock_guard lock(self.mutex);
  struct stat info;
  const bool appends = offset < 0 && fstat(descriptor, &info) == 0;
  self.Overwrites(descriptor, appends ? info.st_size : offset, size);
  return write();
}

ssize_t Read(int descriptor, void* data, size_t size, off_t offset) {
  const std::string path = PathOf(descriptor);
  if (!path.empty()) {
    if (const int error = Meet("fail-read", path)) return errno = error, -1;
  }
  return syscall(SYS_pread64, descriptor, data, size, offset);
}

int Sync(long number, int descriptor) {
  const std::string path = PathOf(descriptor);
  if (path.empty()) return static_cast<int>(syscall(number, descriptor));
  const int error = Meet("fail-sync", path);
  Disk& self = Self();
  std::lock_guard lock(self.mutex);
  if (error != 0) {
    self.DropUnsynced(descriptor);
    errno = error;
    return -1;
  }
  const auto result = static_cast<int>(syscall(number, descriptor));
  if (result == 0) self.Synced(descriptor);
  return result;
}

}  // namespace
}  // namespace likeness::testing

extern "C" {

ssize_t write(int descriptor, const void* data, size_t size) {
  return likeness::testing::Write(descriptor, data, size, -1);
}
ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  return likeness::testing::Write(descriptor, data, size, offset);
}
ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
  return likeness::testing::Write(descriptor, data, size, offset);
}
ssize_t pread(int descriptor, void* data, size_t size, off_t offset) {
  return likeness::testing::Read(descriptor, data, size, offset);
}
ssize_t pread64(int descriptor, void* data, size_t size, off64_t offset) {
  return likeness::testing::Read(descriptor, data, size, offset);
}
int fsync(int descriptor) { return likeness::testing::Sync(SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return likeness::testing::Sync(SYS_fdatasync, descriptor); }

}  // extern "C"
