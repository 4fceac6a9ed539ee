// Putting bytes on the server, by digest.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/lib/backoff.h"
#include "client/lib/connection.h"

namespace likeness::client {

// Which of `blobs`, at most 1,000 names, the server does not have yet.
absl::StatusOr<std::vector<std::string>> FindMissingBlobs(const Connection& connection,
                                                          const std::vector<std::string>& blobs,
                                                          std::stop_token stop = {});

// Stores `bytes` and returns the blob's name, tenants/{tenant}/blobs/{sha256}. What the server has
// already is not sent again; an upload that was cut goes on at what the server has stored.
absl::StatusOr<std::string> UploadBlob(const Connection& connection, const std::string& tenant,
                                       absl::string_view bytes, std::stop_token stop = {},
                                       const BackoffOptions& backoff = {});

}  // namespace likeness::client
