#include "worker/commands/offline_job.h"

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/logging.h"
#include "common/photo_folder.h"
#include "common/resource_names.h"
#include "common/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "worker/support/proto_json.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<v1::Job> ParseJob(const std::string& json) {
  v1::Job job;
  const absl::Status as_job = FromJson(json, job);
  if (as_job.ok()) return job;
  v1::ResolvedSpec resolved;
  if (FromJson(json, resolved).ok()) {
    if (resolved.has_fine_tune()) *job.mutable_fine_tune() = resolved.fine_tune();
    if (resolved.has_generate()) *job.mutable_generate() = resolved.generate();
    if (resolved.has_evaluate()) *job.mutable_evaluate() = resolved.evaluate();
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

// The photos that lie in a folder, as blobs; and as the subject's own if it names none.
absl::Status TakePhotos(const fs::path& folder, v1::Subject& subject,
                        std::map<std::string, std::string>& blobs) {
  ASSIGN_OR_RETURN(const PhotoFolder found, ListPhotos(folder));
  for (const auto& left_out : found.left_out) {
    LogWarning("left out", {{"file", left_out.file.string()}, {"why", left_out.why}});
  }
  const bool take_all = subject.photos().empty();
  for (const auto& photo : found.photos) {
    ASSIGN_OR_RETURN(std::string bytes, ReadUserFile(photo.file));
    const std::string name = BlobName{.sha256 = Sha256Hex(bytes)}.ToString();
    blobs[name] = std::move(bytes);
    if (!take_all) continue;
    v1::Photo& added = *subject.add_photos();
    added.set_blob(name);
    added.set_file_name(photo.file.filename().string());
    if (photo.caption.empty()) continue;
    ASSIGN_OR_RETURN(std::string text, ReadUserFile(photo.caption));
    auto caption = ParseCaption(std::move(text));
    if (!caption.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(photo.caption.string(), ": ", caption.status().message()));
    }
    added.set_caption(*std::move(caption));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OfflineJob> ReadOfflineJob(const fs::path& file, const fs::path& photos) {
  ASSIGN_OR_RETURN(const std::string json, ReadUserFile(file));
  OfflineJob result;
  ASSIGN_OR_RETURN(result.job, ParseJob(json));
  if (result.job.has_evaluate()) {
    MoveInline(*result.job.mutable_evaluate()->mutable_photos(), result.blobs);
  }
  if (!result.job.has_fine_tune()) return result;

  auto& subject = MutableSubjectOf(*result.job.mutable_fine_tune());
  if (!photos.empty()) RETURN_IF_ERROR(TakePhotos(photos, subject, result.blobs));
  MoveInline(*subject.mutable_photos(), result.blobs);
  MoveInline(*subject.mutable_validation_photos(), result.blobs);
  return result;
}

std::string JobDigest(const v1::Job& job) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // the labels are a map
    job.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

}  // namespace likeness
