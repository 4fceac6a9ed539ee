#include "server/blobs/filesystem/layout.h"

#include "absl/strings/str_cat.h"
#include "common/digest.h"

namespace likeness::server {

std::string BlobPath(const std::string& root, const BlobName& name) {
  return absl::StrCat(root, "/", name.tenant, "/", name.sha256.substr(0, 2), "/", name.sha256);
}

std::string SweepLockPath(const std::string& root) { return root + "/.sweep"; }

std::string UploadPath(const std::string& root, const UploadName& name) {
  return absl::StrCat(root, kUploads, "/", name.tenant, ".", Sha256Hex(name.ToString()));
}

std::string TenantOfUpload(const std::string& file_name) {
  const size_t dot = file_name.rfind('.');
  return dot == std::string::npos ? "" : file_name.substr(0, dot);
}

}  // namespace likeness::server
