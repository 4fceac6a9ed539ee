#include "worker/base/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "worker/base/error.h"

namespace likeness {
namespace {

[[noreturn]] void ThrowSystemError(const std::filesystem::path& path, int error) {
  const auto kind = error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kInternal;
  throw Error(kind, path.filename().string() + ": " + std::strerror(error));
}

// Every file that is mapped now: behind its last byte, and its first.
struct Mappings {
  std::mutex mutex;
  std::map<const char*, char*, std::less<>> begin_by_end;
};
Mappings& AllMappings() {
  static auto* const mappings = new Mappings;  // outlives every MappedFile
  return *mappings;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) ThrowSystemError(path, errno);
  struct stat status = {};
  void* pages = nullptr;
  int error = fstat(file, &status) != 0 ? errno : 0;
  if (error == 0 && status.st_size > 0) {
    pages = mmap(nullptr, status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file,
                 /*offset=*/0);
    if (pages == MAP_FAILED) error = errno;
  }
  close(file);
  if (error != 0) ThrowSystemError(path, error);
  data_ = static_cast<char*>(pages);
  size_ = status.st_size;
  if (data_ == nullptr) return;
  const std::lock_guard lock(AllMappings().mutex);
  AllMappings().begin_by_end[data_ + size_] = data_;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  const std::lock_guard lock(AllMappings().mutex);
  AllMappings().begin_by_end.erase(data_ + size_);
  munmap(data_, size_);
}

void ReleaseMappedPages(const void* begin, uint64_t bytes) {
  const std::lock_guard lock(AllMappings().mutex);
  const auto* const from = static_cast<const char*>(begin);
  const auto found = AllMappings().begin_by_end.lower_bound(from + bytes);
  if (found == AllMappings().begin_by_end.end() || std::less<>()(from, found->second)) return;
  // Whole pages alone: what shares one with a neighbour stays. A mapping begins with a page.
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<uint64_t>(from - found->second);
  const uint64_t first = (offset + page - 1) / page * page, last = (offset + bytes) / page * page;
  if (first < last) madvise(found->second + first, last - first, MADV_DONTNEED);
}

}  // namespace likeness
