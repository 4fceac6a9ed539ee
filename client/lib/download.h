// Fetching what a job made.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lib/backoff.h"
#include "client/lib/connection.h"

namespace likeness::client {

// What becomes of a file that is there already and holds something else.
enum class Existing {
  kKeep,     // it stays, and what is written gets a free name: 0000-2.png
  kRefuse,   // it stays, and nothing is written: ALREADY_EXISTS names it
  kReplace,  // it is written over
};

struct Place {
  std::filesystem::path path;
  bool filled = false;  // the file is known to be there already
};

// Where a file of this digest that is to lie at `path` goes: there, unless another one is there.
absl::StatusOr<Place> PlaceFor(const std::filesystem::path& path, const std::string& sha256,
                               Existing existing);

// Writes the blob called `blob` (tenants/{tenant}/blobs/{sha256}) to `path`, whose folders are
// made. A file that is there with the right digest is left alone; what an earlier try left in
// `path`.part is gone on with; another that is writing there is waited for. The file appears at
// `path` only when whole and of the right digest, else it is DATA_LOSS. An error without a reason
// (common/rpc_error.h) if this machine cannot hold it.
absl::Status DownloadBlob(const Connection& connection, const std::string& blob,
                          const std::filesystem::path& path, std::stop_token stop = {},
                          const BackoffOptions& backoff = {});

// Writes `bytes` to `path`, whose folders are made. The file appears only when whole. An error
// without a reason (common/rpc_error.h) if this machine cannot hold it.
absl::Status WriteFileWhole(const std::filesystem::path& path, absl::string_view bytes);

// `folder` / the output's path. A path that is absolute or leaves the folder is INVALID_ARGUMENT: a
// server must not be able to write elsewhere.
absl::StatusOr<std::filesystem::path> OutputFile(const std::filesystem::path& folder,
                                                 const std::string& output_path);

}  // namespace likeness::client
