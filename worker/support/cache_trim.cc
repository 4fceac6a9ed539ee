#include "worker/support/cache_trim.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <system_error>
#include <vector>

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kInUse{1};

using Inode = std::pair<dev_t, ino_t>;

struct Entry {
  fs::path directory;
  fs::file_time_type used;
  std::map<Inode, int64_t> bytes_of_files;
};

// Calls visit(path, inode, bytes) for the files in a directory and below. What vanishes meanwhile
// is left out.
template <typename Visit>
void ForEachFile(const fs::path& directory, const Visit& visit) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    struct stat file {};
    if (stat(it->path().c_str(), &file) != 0 || !S_ISREG(file.st_mode)) continue;
    visit(it->path(), Inode{file.st_dev, file.st_ino}, int64_t{file.st_size});
  }
}

std::vector<Entry> ReadEntries(const fs::path& root) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    Entry entry{.directory = it->path(),
                .used = fs::last_write_time(it->path(), gone),
                .bytes_of_files = {}};
    if (gone || !it->is_directory(gone)) continue;
    ForEachFile(entry.directory, [&](const fs::path&, const Inode& inode, int64_t bytes) {
      entry.bytes_of_files[inode] = bytes;
    });
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  return entries;
}

// Under another name first, so that nobody finds half of it.
void Remove(const fs::path& directory) {
  std::error_code ignored;
  const fs::path doomed = directory.parent_path() / ("." + directory.filename().string());
  fs::rename(directory, doomed, ignored);
  fs::remove_all(doomed, ignored);
}

}  // namespace

void TrimCache(const fs::path& root, int64_t most_bytes, const fs::path& blobs) {
  std::map<Inode, int> users;
  int64_t total = 0;
  const auto entries = ReadEntries(root);
  for (const Entry& entry : entries) {
    for (const auto& [inode, bytes] : entry.bytes_of_files) {
      if (users[inode]++ == 0) total += bytes;
    }
  }
  const auto oldest_in_use = fs::file_time_type::clock::now() - kInUse;
  for (const Entry& entry : entries) {
    if (total <= most_bytes || entry.used > oldest_in_use) break;
    std::error_code gone;  // another worker may have begun to use it since
    if (fs::last_write_time(entry.directory, gone) > oldest_in_use && !gone) continue;
    Remove(entry.directory);
    for (const auto& [inode, bytes] : entry.bytes_of_files) {
      if (--users[inode] == 0) total -= bytes;
    }
  }
  if (blobs.empty()) return;
  ForEachFile(blobs, [&](const fs::path& file, const Inode& inode, int64_t) {
    const auto used = users.find(inode);
    std::error_code ignored;
    if (used == users.end() || used->second == 0) fs::remove(file, ignored);
  });
}

void Touch(const fs::path& entry) {
  std::error_code ignored;
  fs::last_write_time(entry, fs::file_time_type::clock::now(), ignored);
}

}  // namespace likeness
