// Where things lie below the root of a FilesystemBlobStore, for it and for whoever copies it.
#pragma once

#include <string>

#include "common/resource_names.h"

namespace likeness::server {

std::string BlobPath(const std::string& root, const BlobName& name);

// The lock under which blobs are removed, and which a backup shares to hold that off.
std::string SweepLockPath(const std::string& root);

}  // namespace likeness::server
