#include "worker/base/io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <utility>

#include "worker/base/error.h"

namespace likeness {
namespace {

// Containers that share a directory may have the same process id.
std::string RandomSuffix() {
  std::random_device device;
  char text[17];
  std::snprintf(text, sizeof(text), "%08x%08x", device(), device());
  return text;
}

[[noreturn]] void Throw(const char* doing, const std::filesystem::path& path) {
  throw WriteError(std::string(doing) + " " + path.filename().string(), errno);
}

// A file, or a directory with the names in it. Errors name `named`.
void Sync(const std::filesystem::path& path, const char* doing,
          const std::filesystem::path& named) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) Throw(doing, named);
  const int failed = fsync(file);
  const int error = errno;
  close(file);
  errno = error;
  if (failed != 0) Throw(doing, named);
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(path), partial_(path.string() + ".partial-" + RandomSuffix()) {
  file_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file_ < 0) Throw("creating", path_);
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  close(file_);
  unlink(partial_.c_str());
}

void AtomicFile::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Throw("writing", path_);
    bytes.remove_prefix(written);
  }
}

void AtomicFile::Commit() {
  if (fsync(file_) != 0) Throw("syncing", path_);
  if (rename(partial_.c_str(), path_.c_str()) != 0) Throw("renaming", path_);
  close(std::exchange(file_, -1));
  const auto parent = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  Sync(parent, "syncing the directory of", path_);
}

void SyncFile(const std::filesystem::path& path) { Sync(path, "syncing", path); }

}  // namespace likeness
