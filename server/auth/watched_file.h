// Notices that a file was changed or replaced.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace likeness::server {

// Belongs to one thread at a time.
class WatchedFile {
 public:
  explicit WatchedFile(std::string path) : path_(std::move(path)), seen_(Look()) {}

  const std::string& path() const { return path_; }

  // Whether it differs from when it was last asked about. Call it before reading the file: a change
  // during the reading is then noticed the next time.
  bool Changed() { return std::exchange(seen_, Look()) != seen_; }

 private:
  using Stamp = std::array<int64_t, 6>;

  Stamp Look() const {
    struct stat info;
    if (stat(path_.c_str(), &info) != 0) return {};
    return {static_cast<int64_t>(info.st_dev),          static_cast<int64_t>(info.st_ino),
            static_cast<int64_t>(info.st_size),         static_cast<int64_t>(info.st_mtim.tv_sec),
            static_cast<int64_t>(info.st_mtim.tv_nsec), static_cast<int64_t>(info.st_ctim.tv_nsec)};
  }

  const std::string path_;
  Stamp seen_;
};

}  // namespace likeness::server
