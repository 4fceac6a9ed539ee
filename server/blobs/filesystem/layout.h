// Where things lie below the root of a FilesystemBlobStore, for it and for whoever copies it.
#pragma once

#include <string>

#include "common/resource_names.h"

namespace likeness::server {

inline constexpr char kUploads[] = "/.uploads";
inline constexpr char kDamaged[] = "/.damaged";

std::string BlobPath(const std::string& root, const BlobName& name);

std::string UploadPath(const std::string& root, const UploadName& name);

// Whose upload a file of this name holds. Of one of an earlier version, "".
std::string TenantOfUpload(const std::string& file_name);

// The lock under which blobs are removed, and which a backup shares to hold that off.
std::string SweepLockPath(const std::string& root);

}  // namespace likeness::server
