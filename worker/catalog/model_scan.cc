#include "worker/catalog/model_scan.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "worker/checkpoints/file_kind.h"
#include "worker/evaluation/evaluator_files.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 3;
constexpr size_t kNamedFiles = 3;
constexpr size_t kCommitDigits = 8;

// These take what cannot be looked at for what is not there.
bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}
bool IsDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsStray(const fs::path& file) {
  return KindOfFile(file) == FileKind::kPickle || file.extension() == ".gguf";
}

absl::Status StrayWeights(const std::vector<std::string>& files) {
  const std::vector<std::string> named(files.begin(),
                                       files.begin() + std::min(files.size(), kNamedFiles));
  const std::string more =
      files.size() > kNamedFiles ? absl::StrCat(" and ", files.size() - kNamedFiles, " more") : "";
  return absl::FailedPreconditionError(absl::StrCat(
      absl::StrJoin(named, ", "), more,
      ": weights that do not lie in a model directory; only directories in the diffusers layout, "
      "with a model_index.json, and checkpoints in one safetensors file are offered"));
}

class Scanner {
 public:
  // `root` is canonical.
  explicit Scanner(fs::path root) : root_(std::move(root)) {}

  void Scan(const fs::path& directory, int depth) {
    // The folder of all models holds them whatever stands beside.
    if (depth > 0 && (Exists(directory / "measures.json") || IsEvaluator(directory))) return;
    if (Exists(directory / "model_index.json") || IsDirectory(directory / "unet")) {
      scan_.found.push_back({directory.filename().string(), directory});
      return;
    }
    const std::string name = directory.filename().string();
    if (name.starts_with("models--") && IsDirectory(directory / "snapshots")) {
      ScanRepository(directory,
                     absl::StrReplaceAll(absl::StripPrefix(name, "models--"), {{"--", "/"}}));
      return;
    }
    const auto entries = List(directory);
    std::vector<std::string> stray;
    for (const auto& entry : entries) {
      if (IsDirectory(entry)) continue;
      if (entry.extension() == ".safetensors") {
        scan_.found.push_back({entry.stem().string(), entry});
      } else if (IsStray(entry)) {
        stray.push_back(entry.filename().string());
      }
    }
    if (!stray.empty()) Reject(directory, StrayWeights(stray));
    if (depth == kMaxDepth) return;
    for (const auto& entry : entries) {
      if (IsDirectory(entry) && !LeadsBack(entry)) Scan(entry, depth + 1);
    }
  }

  ModelScan Take() {
    std::sort(scan_.found.begin(), scan_.found.end(),
              [](const auto& a, const auto& b) { return a.directory < b.directory; });
    return std::move(scan_);
  }

 private:
  // By name, without what is hidden; nothing where it cannot be read, which is then rejected.
  std::vector<fs::path> List(const fs::path& directory) {
    std::vector<fs::path> entries;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      if (!entry->path().filename().string().starts_with('.')) entries.push_back(entry->path());
    }
    if (error) {
      Reject(directory, absl::PermissionDeniedError(
                            absl::StrCat("the folder cannot be read: ", error.message())));
    }
    std::sort(entries.begin(), entries.end());
    return entries;
  }

  void ScanRepository(const fs::path& directory, const std::string& name) {
    std::string main;
    std::ifstream(directory / "refs" / "main") >> main;
    for (const auto& snapshot : List(directory / "snapshots")) {
      if (!IsDirectory(snapshot)) continue;
      const std::string commit = snapshot.filename().string();
      scan_.found.push_back(
          {commit == main ? name : absl::StrCat(name, "@", commit.substr(0, kCommitDigits)),
           snapshot});
    }
  }

  // A symbolic link to a folder that it lies in.
  static bool LeadsBack(const fs::path& directory) {
    std::error_code error;
    const fs::path place = fs::canonical(directory, error);
    const fs::path parent = fs::canonical(directory.parent_path(), error);
    if (error) return true;
    const auto [left, end] =
        std::mismatch(parent.begin(), parent.end(), place.begin(), place.end());
    return end == place.end();
  }

  void Reject(const fs::path& directory, absl::Status reason) {
    const fs::path below = directory.lexically_relative(root_);
    scan_.rejected.push_back(
        {below == "." ? root_.filename().string() : below.string(), std::move(reason)});
  }

  fs::path root_;
  ModelScan scan_;
};

}  // namespace

absl::StatusOr<ModelScan> ScanForModels(const fs::path& models) {
  std::error_code error;
  // A trailing slash or a dot would leave the directory without a name.
  const fs::path root = fs::canonical(models, error);
  if (error || !IsDirectory(root)) {
    return absl::NotFoundError(absl::StrCat("--models=", models.string(), ": no such directory"));
  }
  fs::directory_iterator readable(root, error);
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat("--models=", models.string(), ": ", error.message()));
  }
  Scanner scanner(root);
  scanner.Scan(root, 0);
  return scanner.Take();
}

}  // namespace likeness
