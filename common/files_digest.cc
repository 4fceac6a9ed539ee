#include "common/files_digest.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/digest.h"

namespace likeness {

std::string FilesDigest(const google::protobuf::RepeatedPtrField<v1::Output>& files) {
  std::map<absl::string_view, absl::string_view> sha256_of_path;
  for (const v1::Output& file : files) {
    if (file.kind() != v1::OUTPUT_KIND_MODEL_FILE) continue;
    const absl::string_view blob = file.blob();
    sha256_of_path[absl::StripPrefix(file.path(), "model/")] = blob.substr(blob.rfind('/') + 1);
  }
  Sha256 digest;
  for (const auto& [path, sha256] : sha256_of_path) {
    digest.Update(absl::StrCat(path, " ", sha256, "\n"));
  }
  return digest.HexDigest();
}

}  // namespace likeness
