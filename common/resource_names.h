// Names of resources, parsed and printed in one place. A wrong name is INVALID_ARGUMENT
// (INVALID_NAME) on `field`.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace likeness {

inline constexpr char kDefaultTenant[] = "default";

// tenants/{tenant}/jobs/{id}
struct JobName {
  std::string tenant = kDefaultTenant;
  std::string id;
  std::string ToString() const;
  bool operator==(const JobName&) const = default;
};

// baseModels/{id} for a base model, tenants/{tenant}/models/{id} for a personalized one.
struct ModelName {
  std::string tenant;  // empty: a base model
  std::string id;
  bool is_base() const { return tenant.empty(); }
  std::string ToString() const;
  bool operator==(const ModelName&) const = default;
};

// tenants/{tenant}/blobs/{sha256}
struct BlobName {
  std::string tenant = kDefaultTenant;
  std::string sha256;
  std::string ToString() const;
  bool operator==(const BlobName&) const = default;
};

// tenants/{tenant}/uploads/{uuid}/blobs/{sha256}/{size_bytes}: where ByteStream.Write puts a blob.
// The client draws the uuid, and resumes a cut upload under the same one.
struct UploadName {
  std::string tenant = kDefaultTenant;
  std::string uuid;
  std::string sha256;
  int64_t size_bytes = 0;
  std::string ToString() const;
  BlobName blob() const { return {tenant, sha256}; }
};

// Names of jobs, models and blobs may hold the id "-", which jobs and models of before version 1.0
// may have; who creates one checks it with IsResourceId.
absl::StatusOr<JobName> ParseJobName(absl::string_view text, absl::string_view field = "name");
absl::StatusOr<ModelName> ParseModelName(absl::string_view text, absl::string_view field = "name");
absl::StatusOr<BlobName> ParseBlobName(absl::string_view text, absl::string_view field = "name");
absl::StatusOr<UploadName> ParseUploadName(absl::string_view text,
                                           absl::string_view field = "resource_name");

// tenants/{tenant}; empty text means the default tenant. Returns the tenant's id.
absl::StatusOr<std::string> ParseParent(absl::string_view text, absl::string_view field = "parent");

// [a-z0-9-]{1,63}, and not "-" alone, which stands for any resource (AIP-159).
bool IsResourceId(absl::string_view text);

}  // namespace likeness
