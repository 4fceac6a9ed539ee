#include "worker/catalog/model_store.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "worker/base/error.h"
#include "worker/support/cache_trim.h"
#include "worker/support/guard.h"
#include "worker/support/scratch.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Blobs by path below the model's directory.
std::map<std::string, std::string> BlobsByPath(const std::vector<v1::Output>& files) {
  std::map<std::string, std::string> blobs;
  for (const auto& file : files) {
    const std::string text(absl::StripPrefix(file.path(), "model/"));
    const fs::path path(text);
    const bool escapes =
        path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end();
    if (text.empty() || escapes) {
      throw Error(ErrorKind::kInvalidArgument,
                  "\"" + file.path() + "\" is no path below a model's directory");
    }
    blobs[text] = file.blob();
  }
  return blobs;
}

std::string DigestOf(const std::map<std::string, std::string>& blobs) {
  Sha256 digest;
  for (const auto& [path, blob] : blobs) digest.Update(absl::StrCat(path, "\n", blob, "\n"));
  return digest.HexDigest();
}

}  // namespace

ModelStore::ModelStore(fs::path root, int64_t most_bytes)
    : root_(std::move(root)), most_bytes_(most_bytes) {
  Scratch::RemoveOrphans(root_ / "drafts");
}

StoredModel ModelStore::Assemble(const std::vector<v1::Output>& files, const Fetch& fetch) const {
  const auto blobs_by_path = BlobsByPath(files);
  const std::string digest = DigestOf(blobs_by_path);
  const fs::path directory = root_ / "models" / digest;
  Touch(directory);  // first: from here on no other worker removes it
  if (fs::exists(directory)) return {directory, digest};

  // Made aside and renamed, so that what stands under its final name is always whole.
  const Scratch draft(root_ / "drafts");
  fs::create_directories(root_ / "blobs");
  for (const auto& [path, blob] : blobs_by_path) {
    const fs::path place = draft.path() / "model" / path;
    fs::create_directories(place.parent_path());
    Link(blob, place, draft.path() / "part", fetch);
  }
  fs::create_directories(directory.parent_path());
  std::error_code error;
  fs::rename(draft.path() / "model", directory, error);
  // Another worker on this disk may have been faster.
  if (error && !fs::exists(directory)) {
    throw fs::filesystem_error("cannot keep a model", directory, error);
  }
  TrimCache(root_ / "models", most_bytes_, root_ / "blobs");
  return {directory, digest};
}

void ModelStore::Link(const std::string& blob, const fs::path& place, const fs::path& part,
                      const Fetch& fetch) const {
  const fs::path kept = root_ / "blobs" / ValueOrThrow(ParseBlobName(blob)).sha256;
  std::error_code error;
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (!fs::exists(kept)) {
      fetch(blob, part);
      fs::rename(part, kept);
      fs::remove(part, error);  // which renaming leaves where both are links to one file
    }
    fs::create_hard_link(kept, place, error);
    // Another worker on this disk may have found it unused just now.
    if (error != std::errc::no_such_file_or_directory) break;
  }
  if (error) throw fs::filesystem_error("cannot link a file of a model", kept, error);
}

void ModelStore::Erase(const std::vector<v1::Output>& files) const {
  const auto blobs_by_path = BlobsByPath(files);
  fs::remove_all(root_ / "models" / DigestOf(blobs_by_path));
  for (const auto& [path, blob] : blobs_by_path) {
    const fs::path kept = root_ / "blobs" / ValueOrThrow(ParseBlobName(blob)).sha256;
    std::error_code gone;
    if (fs::hard_link_count(kept, gone) == 1 && !gone) fs::remove(kept);
  }
}

StoredModel ModelStore::Adopt(const fs::path& directory,
                              const std::vector<v1::Output>& files) const {
  std::map<std::string, std::string> path_of_blob;
  for (const auto& [path, blob] : BlobsByPath(files)) path_of_blob[blob] = path;
  return Assemble(files, [&](const std::string& blob, const fs::path& to) {
    // The base's own files may lie on another disk.
    const fs::path from = directory / path_of_blob.at(blob);
    std::error_code not_linked;
    fs::create_hard_link(from, to, not_linked);
    if (not_linked) fs::copy_file(from, to);
  });
}

}  // namespace likeness
