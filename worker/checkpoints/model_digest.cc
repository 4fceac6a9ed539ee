#include "worker/checkpoints/model_digest.h"

#include <sys/stat.h>

#include <map>
#include <mutex>
#include <tuple>

#include "worker/base/error.h"
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

// Digests of files that were read already, by what tells that they are the same still. Models on
// one disk share files as hard links: each is read once.
class FileDigests {
 public:
  std::string Of(const fs::path& path, const std::function<void()>& poll) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0) {
      throw Error(ErrorKind::kNotFound, path.filename().string() + " is gone");
    }
    const Key key = {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec};
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = known_.find(key); found != known_.end()) return found->second;
    }
    std::string digest = Sha256OfFile(path, poll);
    const std::lock_guard lock(mutex_);
    if (known_.size() >= kMost) known_.clear();
    known_[key] = digest;
    return digest;
  }

 private:
  using Key = std::tuple<dev_t, ino_t, off_t, time_t, long>;
  static constexpr size_t kMost = 10'000;  // files
  std::mutex mutex_;
  std::map<Key, std::string> known_;
};

}  // namespace

std::string DigestOfFile(const fs::path& path, const std::function<void()>& poll) {
  static auto* const digests = new FileDigests;
  return digests->Of(path, poll);
}

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
