#include "worker/weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "worker/base/error.h"

namespace likeness {
namespace {

[[noreturn]] void ThrowSystemError(const std::filesystem::path& path, int error) {
  const auto kind = error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kInternal;
  throw Error(kind, path.filename().string() + ": " + std::strerror(error));
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
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace likeness
