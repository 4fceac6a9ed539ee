#include "worker/checkpoints/model_digest.h"

#include <sys/stat.h>

#include <ctime>
#include <map>
#include <mutex>
#include <sstream>
#include <tuple>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/sha256.h"
#include "worker/checkpoints/file_kind.h"
#include "worker/checkpoints/model_files.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

bool IsPartOfTheModel(const fs::path& relative) {
  if (relative == "model_index.json") return true;
  const FileKind kind = KindOfFile(relative);
  return relative.has_parent_path() && (kind == FileKind::kWeights || kind == FileKind::kText);
}

// What tells that a file is the same still: device, inode, size, time.
using FileIdentity = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t>;
using Digests = std::map<FileIdentity, std::string>;

constexpr size_t kMostDigests = 10'000;
constexpr int64_t kLarge = 1 << 20;  // bytes: smaller ones are read as quickly as remembered
constexpr int64_t kSettled = 2;      // seconds: a file that is younger may change within its time

Digests ReadDigests(const fs::path& file) {
  Digests digests;
  const auto json = ReadJsonIfThere(file);
  if (!json.is_object() || json.size() > kMostDigests) return digests;
  for (const auto& [identity, value] : json.items()) {
    std::istringstream parts(identity);
    uint64_t device = 0, inode = 0;
    int64_t size = 0, seconds = 0, nanoseconds = 0;
    std::string digest;
    const bool read(parts >> device >> inode >> size >> seconds >> nanoseconds);
    if (!read || !ConvertJson(value, digest) || digest.size() != 64) continue;
    digests[{device, inode, size, seconds, nanoseconds}] = digest;
  }
  return digests;
}

void WriteDigests(const fs::path& file, const Digests& digests) {
  auto json = nlohmann::json::object();
  for (const auto& [identity, digest] : digests) {
    const auto& [device, inode, size, seconds, nanoseconds] = identity;
    std::ostringstream key;
    key << device << ' ' << inode << ' ' << size << ' ' << seconds << ' ' << nanoseconds;
    json[key.str()] = digest;
  }
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  try {
    WriteJsonFile(file, json);
  } catch (const Error&) {
    return;  // read again by the next process
  }
}

// Digests of files that were read already. Models on one disk share files as hard links: each is
// read once.
class FileDigests {
 public:
  std::string Of(const fs::path& path, const std::function<void()>& poll) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0) {
      throw Error(ErrorKind::kNotFound, path.filename().string() + " is gone");
    }
    const FileIdentity identity = {status.st_dev, status.st_ino, status.st_size,
                                   status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = known_.find(identity); found != known_.end()) return found->second;
    }
    std::string digest = Sha256OfFile(path, poll);
    const std::lock_guard lock(mutex_);
    if (known_.size() >= kMostDigests) known_.clear();
    known_[identity] = digest;
    const bool settled = status.st_mtim.tv_sec + kSettled < std::time(nullptr);
    if (!memory_.empty() && status.st_size >= kLarge && settled) Remember(identity, digest);
    return digest;
  }

  void RememberIn(const fs::path& file) {
    const std::lock_guard lock(mutex_);
    memory_ = file;
    known_.merge(ReadDigests(file));
  }

 private:
  // Other workers write there as well.
  void Remember(const FileIdentity& identity, const std::string& digest) {
    auto remembered = ReadDigests(memory_);
    if (remembered.size() >= kMostDigests) remembered.clear();
    remembered[identity] = digest;
    WriteDigests(memory_, remembered);
  }

  std::mutex mutex_;
  Digests known_;
  fs::path memory_;  // empty: none
};

FileDigests& Known() {
  static auto* const digests = new FileDigests;
  return *digests;
}

}  // namespace

std::string DigestOfFile(const fs::path& path, const std::function<void()>& poll) {
  return Known().Of(path, poll);
}

void RememberDigestsIn(const fs::path& file) { Known().RememberIn(file); }

std::map<std::string, std::string> ModelFileDigests(const fs::path& dir,
                                                    const std::function<void()>& poll) {
  std::map<std::string, std::string> files;
  for (const auto& [name, path] : FilesOfModel(dir)) {
    if (IsPartOfTheModel(name)) files[name] = DigestOfFile(path, poll);
  }
  return files;
}

std::string ModelDigest(const std::map<std::string, std::string>& files) {
  std::string lines;
  for (const auto& [name, digest] : files) lines += name + " " + digest + "\n";
  return Sha256OfBytes(lines);
}

std::string ModelDigest(const fs::path& dir, const std::function<void()>& poll) {
  return ModelDigest(ModelFileDigests(dir, poll));
}

}  // namespace likeness
