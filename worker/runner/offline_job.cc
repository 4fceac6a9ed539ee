#include "worker/runner/offline_job.h"

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "common/status_macros.h"
#include "worker/runner/guard.h"
#include "worker/runner/outputs.h"
#include "worker/runner/proto_json.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using Photos = google::protobuf::RepeatedPtrField<v1::Photo>;

absl::StatusOr<v1::Job> ParseJob(const std::string& json) {
  v1::Job job;
  const absl::Status as_job = FromJson(json, job);
  if (as_job.ok()) return job;
  v1::ResolvedSpec resolved;
  if (FromJson(json, resolved).ok()) {
    if (resolved.has_fine_tune()) *job.mutable_fine_tune() = resolved.fine_tune();
    if (resolved.has_generate()) *job.mutable_generate() = resolved.generate();
    return job;
  }
  return absl::InvalidArgumentError(absl::StrCat("the file is not a Job: ", as_job.message()));
}

// Keeps inline bytes as blobs.
void MoveInline(Photos& photos, std::map<std::string, std::string>& blobs) {
  for (auto& photo : photos) {
    if (photo.source_case() != v1::Photo::kInline) continue;
    const std::string name = BlobName{.sha256 = Sha256Hex(photo.inline_())}.ToString();
    blobs[name] = photo.inline_();
    photo.set_blob(name);
  }
}

}  // namespace

absl::StatusOr<OfflineJob> ReadOfflineJob(const fs::path& file, const fs::path& photos) {
  std::string json;
  std::vector<fs::path> photo_files;
  RETURN_IF_ERROR(Guard([&] {
    json = ReadFile(file);
    if (!photos.empty()) photo_files = FilesBelow(photos);
  }));
  OfflineJob result;
  ASSIGN_OR_RETURN(result.job, ParseJob(json));
  if (!result.job.has_fine_tune()) return result;

  auto& subject = *result.job.mutable_fine_tune()->mutable_subject();
  const bool take_all = subject.photos().empty();
  for (const auto& photo_file : photo_files) {
    std::string bytes;
    RETURN_IF_ERROR(Guard([&] { bytes = ReadFile(photo_file); }));
    const std::string name = BlobName{.sha256 = Sha256Hex(bytes)}.ToString();
    result.blobs[name] = std::move(bytes);
    if (take_all) subject.add_photos()->set_blob(name);
  }
  MoveInline(*subject.mutable_photos(), result.blobs);
  MoveInline(*subject.mutable_validation_photos(), result.blobs);
  return result;
}

}  // namespace likeness
