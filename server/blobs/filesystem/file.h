// A POSIX file with absl::Status for errors. No message holds a path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/digest.h"

namespace likeness::server {

class File {
 public:
  static absl::StatusOr<File> OpenForReading(const std::string& path);
  // Opens or creates, for reading and writing.
  static absl::StatusOr<File> OpenForWriting(const std::string& path);
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  absl::StatusOr<int64_t> Size() const;
  // At most `limit` bytes; fewer only at the end.
  absl::StatusOr<std::string> ReadAt(int64_t offset, int64_t limit) const;
  // All of `bytes`. RESOURCE_EXHAUSTED (STORAGE_FULL) when the disk, a quota or a limit on file
  // size is reached.
  absl::Status WriteAt(int64_t offset, absl::string_view bytes) const;
  absl::Status Truncate(int64_t size) const;
  absl::Status Sync() const;
  // Sets the time of modification.
  absl::Status Touch(absl::Time time) const;
  // Whether the name still stands for this very file.
  bool IsAt(const std::string& path) const;

 private:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// The size of the file of this name; nothing if it cannot be told.
std::optional<int64_t> FileSize(const std::string& path);

// Of the first `size` bytes, read piece by piece.
absl::StatusOr<Sha256> HashOf(const File& file, int64_t size);

// What is left on the disk that holds `path`.
absl::StatusOr<int64_t> FreeDiskBytes(const std::string& path);

// Makes renames and new files in a directory durable.
absl::Status SyncDirectory(const std::string& path);

// Locks a file, which is made if it is missing, until this goes away or the process ends.
class FileLock {
 public:
  enum class Kind { kShared, kExclusive };
  // UNAVAILABLE (LOCKED) at once if another process or another FileLock stands against it, unless
  // `wait`.
  static absl::StatusOr<FileLock> Take(const std::string& path, Kind kind, bool wait);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();
  int descriptor() const { return descriptor_; }

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// Makes a directory and its missing parents, durably.
absl::Status MakeDirectories(const std::string& path);

// What errno says, after `action` ("write a blob") failed.
absl::Status ErrnoStatus(int error, absl::string_view action);

}  // namespace likeness::server
