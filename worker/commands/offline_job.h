// Job files of `likeness-worker run`: the JSON form of the contract's Job.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "likeness/v1/job.pb.h"

namespace likeness {

struct OfflineJob {
  v1::Job job;                               // its photos named as blobs
  std::map<std::string, std::string> blobs;  // their bytes, by name
};

// Photos may be inline; or blobs, found by their digest among the photos in `photos`; or absent,
// and then all photos in the folder `photos` (common/photo_folder.h) are learned from, with their
// captions. `file` may also hold a ResolvedSpec.
// Unknown fields are INVALID_ARGUMENT.
absl::StatusOr<OfflineJob> ReadOfflineJob(const std::filesystem::path& file,
                                          const std::filesystem::path& photos);

// SHA-256, in hex, over all that the job says.
std::string JobDigest(const v1::Job& job);

}  // namespace likeness
