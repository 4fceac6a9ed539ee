#include "worker/commands/offline_job.h"

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/logging.h"
#include "common/photo_folder.h"
#include "common/prompt_adapters.h"
#include "common/resource_names.h"
#include "common/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/proto_json.h"

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
    if (resolved.has_evaluate()) *job.mutable_evaluate() = resolved.evaluate();
    if (resolved.has_export_model()) *job.mutable_export_model() = resolved.export_model();
    if (resolved.has_import_model()) *job.mutable_import_model() = resolved.import_model();
    return job;
  }
  return absl::InvalidArgumentError(absl::StrCat("the file is not a Job: ", as_job.message()));
}

// The name of the bytes as a blob.
std::string KeepBlob(std::string bytes, std::map<std::string, std::string>& blobs) {
  std::string name = BlobName{.sha256 = Sha256Hex(bytes)}.ToString();
  blobs[name] = std::move(bytes);
  return name;
}

// Keeps inline bytes as blobs.
void MoveInline(v1::Job& job, std::map<std::string, std::string>& blobs) {
  for (v1::Photo* photo : MutablePhotosOf(job)) {
    if (photo->has_inline_()) photo->set_blob(KeepBlob(photo->inline_(), blobs));
  }
  if (!job.import_model().has_inline_()) return;
  job.mutable_import_model()->set_blob(KeepBlob(job.import_model().inline_(), blobs));
}

// What a job that names no photos may take from a folder: null where it takes none.
Photos* PhotosToFill(v1::Job& job) {
  if (job.has_evaluate()) return job.mutable_evaluate()->mutable_photos();
  if (!job.has_fine_tune()) return nullptr;
  return MutableSubjectOf(*job.mutable_fine_tune()).mutable_photos();
}

absl::Status TakePhoto(const fs::path& file, v1::Photo& photo,
                       std::map<std::string, std::string>& blobs) {
  ASSIGN_OR_RETURN(std::string bytes, ReadUserFile(file));
  photo.set_blob(KeepBlob(std::move(bytes), blobs));
  photo.set_file_name(ShownFileName(file));
  return absl::OkStatus();
}

// The photos that lie in a folder, as blobs; and as the job's own if it names none.
absl::Status TakePhotos(const fs::path& folder, Photos* photos,
                        std::map<std::string, std::string>& blobs) {
  ASSIGN_OR_RETURN(const PhotoFolder found, ListPhotos(folder));
  for (const auto& left_out : found.left_out) {
    LogWarning("left out", {{"file", left_out.file.string()}, {"why", left_out.why}});
  }
  const bool take_all = photos != nullptr && photos->empty();
  for (const auto& photo : found.photos) {
    v1::Photo taken;
    RETURN_IF_ERROR(TakePhoto(photo.file, taken, blobs));
    if (!photo.mask.empty()) RETURN_IF_ERROR(TakePhoto(photo.mask, *taken.mutable_mask(), blobs));
    if (!take_all) continue;
    v1::Photo& added = *photos->Add();
    added = std::move(taken);
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

// The personalized models that the job uses, by name.
std::vector<std::string> ModelsUsed(const v1::Job& job) {
  std::vector<std::string> names;
  if (!job.fine_tune().initial_model().empty()) names.push_back(job.fine_tune().initial_model());
  if (job.has_fine_tune() || job.has_import_model()) return names;
  const v1::ModelSelection& selection = SelectionOf(job);
  const auto name = ParseModelName(selection.name());
  if (!name.ok() || !name->is_base()) names.push_back(selection.name());
  for (const auto& adapter : selection.adapters()) names.push_back(adapter.model());
  for (std::string& id : PromptAdapterIds(job.generate())) {
    names.push_back(ModelName{kDefaultTenant, std::move(id)}.ToString());
  }
  return names;
}

absl::Status TakeModels(const std::vector<std::string>& directories, OfflineJob& result) {
  const auto names = ModelsUsed(result.job);
  if (names.size() != directories.size()) {
    return absl::InvalidArgumentError(absl::StrCat("--model is given ", directories.size(),
                                                   " times; the job uses ", names.size(),
                                                   " personalized models"));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    v1::LeasedModel& model = result.models.emplace_back();
    model.set_name(names[i]);
    RETURN_IF_ERROR(Guard([&] {
      for (const auto& path : FilesBelow(directories[i])) {
        v1::Output output;
        output.set_kind(v1::OUTPUT_KIND_MODEL_FILE);
        output.set_path(path.lexically_relative(directories[i]).string());
        output = DescribeFile(path, output);
        result.files[output.blob()] = path;
        *model.add_files() = std::move(output);
      }
    }));
    if (!model.files().empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--model=", directories[i], ": there are no files"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OfflineJob> ReadOfflineJob(const fs::path& file, const fs::path& photos,
                                          const std::vector<std::string>& models) {
  ASSIGN_OR_RETURN(const std::string json, ReadUserFile(file));
  OfflineJob result;
  ASSIGN_OR_RETURN(result.job, ParseJob(json));
  RETURN_IF_ERROR(TakeModels(models, result));
  if (!photos.empty()) {
    RETURN_IF_ERROR(TakePhotos(photos, PhotosToFill(result.job), result.blobs));
  }
  MoveInline(result.job, result.blobs);
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
