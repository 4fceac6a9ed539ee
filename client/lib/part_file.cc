#include "client/lib/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lib/stopped.h"
#include "client/lib/wait_notice.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kLook{100};  // whether another is done

// `error`: an errno.
absl::Status CannotWrite(const fs::path& path, int error) {
  return absl::ResourceExhaustedError(
      absl::StrCat("Cannot write ", path.string(), ": ", std::strerror(error), "."));
}

// What stands at the path and is not written over, as people call it.
const char* KindOf(fs::file_type type) {
  switch (type) {
    case fs::file_type::directory:
      return "directory";
    case fs::file_type::fifo:
      return "pipe";
    case fs::file_type::socket:
      return "socket";
    default:
      return "device";
  }
}

fs::path PartOf(const fs::path& path) { return path.string() + ".part"; }

// False while another has it. File systems that know no locks are used without.
bool Lock(int file) { return flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

// Whether the file still has that name: who had it before has moved or removed it.
bool IsAt(const fs::path& path, int file) {
  struct stat opened {};
  struct stat named {};
  return fstat(file, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

absl::StatusOr<fs::path> FileToWrite(const fs::path& path) {
  constexpr int kMostLinks = 40;  // as Linux
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    return absl::FailedPreconditionError(absl::StrCat("Cannot write ", path.string(), ": it is a ",
                                                      KindOf(there.type()), ", not a file."));
  }
  fs::path file = path;
  for (int links = 0; fs::is_symlink(fs::symlink_status(file, error)); ++links) {
    const fs::path target = fs::read_symlink(file, error);
    if (error) return CannotWrite(path, error.value());
    if (links == kMostLinks) return CannotWrite(path, ELOOP);
    file = file.parent_path() / target;
  }
  return file;
}

absl::StatusOr<PartFile> PartFile::Open(const fs::path& asked, std::stop_token stop) {
  ASSIGN_OR_RETURN(const fs::path path, FileToWrite(asked));
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error) return CannotWrite(path, error.value());
  for (bool waited = false;; waited = true) {
    const int file = open(PartOf(path).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return CannotWrite(path, errno);
    PartFile part(path, file, waited);
    if (Lock(file) && IsAt(part.part_, file)) return part;
    if (stop.stop_requested()) return OrStopped(absl::CancelledError(), stop);
    if (!waited) {
      NoticeWait(absl::StrCat("another program that writes ", path.string()),
                 absl::InfiniteDuration());
    }
    std::this_thread::sleep_for(kLook);
  }
}

PartFile::PartFile(const fs::path& path, int file, bool waited)
    : whole_(path), part_(PartOf(path)), file_(file), waited_(waited) {}

PartFile::PartFile(PartFile&& other) noexcept
    : whole_(std::move(other.whole_)),
      part_(std::move(other.part_)),
      file_(std::exchange(other.file_, -1)),
      waited_(other.waited_) {}

PartFile::~PartFile() {
  if (file_ >= 0) close(file_);
}

absl::Status PartFile::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return CannotWrite(whole_, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status PartFile::Clear() {
  struct stat opened {};
  const bool holds_bytes = fstat(file_, &opened) == 0 && opened.st_size > 0;
  if (holds_bytes && ftruncate(file_, 0) != 0) return CannotWrite(whole_, errno);
  return absl::OkStatus();
}

absl::Status PartFile::MoveIntoPlace() {
  std::error_code error;
  fs::rename(part_, whole_, error);
  return error ? CannotWrite(whole_, error.value()) : absl::OkStatus();
}

void PartFile::Remove() {
  std::error_code ignored;
  fs::remove(part_, ignored);
}

}  // namespace likeness::client
