// Job files of `likeness-worker run`: the JSON form of the contract's Job.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "likeness/v1/job.pb.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness {

struct OfflineJob {
  v1::Job job;                               // its photos named as blobs
  std::map<std::string, std::string> blobs;  // their bytes, by name
  // The personalized models that a job draws with, as a lease has them, and where their files lie.
  std::vector<v1::LeasedModel> models;
  std::map<std::string, std::filesystem::path> files;  // by blob
};

// Photos may be inline; or blobs, found by their digest among the photos in `photos`; or absent,
// and then all photos in the folder `photos` (common/photo_folder.h) are taken, with their
// captions. `file` may also hold a ResolvedSpec. `models`: directories of the personalized models
// that the job draws with: of its model if that is none of the base models, then of its adapters,
// in order. INVALID_ARGUMENT: unknown fields; more or fewer models than the job draws with.
absl::StatusOr<OfflineJob> ReadOfflineJob(const std::filesystem::path& file,
                                          const std::filesystem::path& photos,
                                          const std::vector<std::string>& models);

// SHA-256, in hex, over all that the job says.
std::string JobDigest(const v1::Job& job);

}  // namespace likeness
