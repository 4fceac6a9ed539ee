// The directory in which one server at a time keeps everything: jobs.sqlite, blobs/, lock.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "server/blobs/filesystem/file.h"

namespace likeness::server {

std::string StorePath(const std::string& data_dir);
std::string BlobsPath(const std::string& data_dir);

// FAILED_PRECONDITION (NO_DATA_DIR) unless a server has kept its data there.
absl::Status CheckDataDirectory(const std::string& data_dir);

// Whether a server has had its jobs here before: blobs/ is made after jobs.sqlite.
bool WasServed(const std::string& data_dir);

// Held by the server, or by whoever takes its place. FAILED_PRECONDITION (DATA_DIR_IN_USE).
absl::StatusOr<FileLock> LockDataDirectory(const std::string& data_dir);

// The process that holds the lock now; 0 if it is not known.
pid_t HolderOf(const std::string& data_dir);

}  // namespace likeness::server
