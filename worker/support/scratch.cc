#include "worker/support/scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "common/ids.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// The directory, open and locked; -1 if another holds it or it is gone. A lock ends with its
// process.
int Lock(const fs::path& directory) {
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return -1;
  struct stat state {};
  const bool held = flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &state) == 0;
  if (held && state.st_nlink > 0) return file;
  close(file);
  return -1;
}

}  // namespace

Scratch::Scratch(const fs::path& root) {
  // Between its making and its locking another may take it for an orphan: then there is a next one.
  for (int attempt = 0; lock_ < 0; ++attempt) {
    path_ = root / RandomId(16);
    fs::create_directories(path_);
    lock_ = Lock(path_);
    if (lock_ < 0 && attempt == 10) {
      throw fs::filesystem_error("cannot lock", path_,
                                 std::make_error_code(std::errc::no_lock_available));
    }
  }
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  close(lock_);
}

void Scratch::RemoveOrphans(const fs::path& root) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    const int lock = Lock(entry.path());
    if (lock < 0) continue;
    fs::remove_all(entry.path(), ignored);
    close(lock);
  }
}

}  // namespace likeness
