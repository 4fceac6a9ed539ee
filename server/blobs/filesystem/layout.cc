#include "server/blobs/filesystem/layout.h"

#include "absl/strings/str_cat.h"

namespace likeness::server {

std::string BlobPath(const std::string& root, const BlobName& name) {
  return absl::StrCat(root, "/", name.tenant, "/", name.sha256.substr(0, 2), "/", name.sha256);
}

std::string SweepLockPath(const std::string& root) { return root + "/.sweep"; }

}  // namespace likeness::server
