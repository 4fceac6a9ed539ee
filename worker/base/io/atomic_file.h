// Files that are there whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace likeness {

// Collects a file beside `path` under another name; Commit() makes it appear as `path`. What was
// not committed is removed. Errors: kDiskFull when the disk is full, kInternal for what
// else the system reports; messages name the file without its directory.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(std::string_view bytes);
  // Syncs file and directory: after this, a power cut cannot take it back.
  void Commit();

 private:
  std::filesystem::path path_, partial_;
  int file_ = -1;
};

// Of a file that something else has written: after this, a power cut cannot take its bytes back.
// Errors as above.
void SyncFile(const std::filesystem::path& path);

}  // namespace likeness
