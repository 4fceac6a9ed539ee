#include "server/api/generate_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/job_state.h"

namespace likeness::server {
namespace {

constexpr int kMaxImages = 16;
constexpr char kMoreByJobs[] = " in one call; a job, which CreateJob makes, may have more";

constexpr int64_t kMostInlineBytes = 1 << 20;  // with the rest far below the usual limit of 4 MiB

absl::StatusOr<v1::CreateJobRequest> ToCreateRequest(const v1::GenerateImagesRequest& request) {
  const v1::GenerateSpec& spec = request.generate();
  const int64_t each = spec.has_images_per_prompt() ? spec.images_per_prompt() : 1;
  const std::string field = "generate.images_per_prompt";
  const ErrorMetadata limit = {{"limit", absl::StrCat(kMaxImages)}};
  if (each < 1 || each > kMaxImages) {
    const std::string description =
        absl::StrCat("is ", each, "; 1 to ", kMaxImages, " is allowed", kMoreByJobs);
    if (each > kMaxImages) return InvalidField(field, description, "TOO_MANY_IMAGES", limit);
    return InvalidField(field, description, "OUT_OF_RANGE",
                        {{"minimum", "1"}, {"maximum", absl::StrCat(kMaxImages)}});
  }
  const int64_t images = spec.prompts_size() * each;
  if (images > kMaxImages) {
    return InvalidField(
        field,
        absl::StrCat("is ", each, ", which makes ", images, " images in total; at most ",
                     kMaxImages, " are allowed", kMoreByJobs),
        "TOO_MANY_IMAGES", limit);
  }
  v1::CreateJobRequest create;
  *create.mutable_job()->mutable_generate() = spec;
  create.mutable_job()->set_max_attempts(1);  // somebody is waiting, and can try again
  create.set_request_id(request.request_id());
  return create;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StreamSource<v1::GenerateImagesResponse>>> GenerateSource::Open(
    Front& front, JobStore& jobs, BlobStore& blobs, Admission& admission, const std::string& tenant,
    const v1::GenerateImagesRequest& request, std::function<void()> wake, std::string* created) {
  ASSIGN_OR_RETURN(const auto create, ToCreateRequest(request));
  auto accepted = admission.Create(tenant, create);
  if (!accepted.ok()) return WithFieldsRenamed(accepted.status(), "job.generate", "generate");
  v1::Job job = *std::move(accepted);
  *created = job.name();
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(job.name()));
  auto changes = front.feed().Subscribe(job.name(), std::move(wake));
  ASSIGN_OR_RETURN(const JobSnapshot snapshot, jobs.Snapshot(name));
  std::unique_ptr<GenerateSource> source(
      new GenerateSource(jobs, blobs, name, snapshot.key, std::move(job)));
  source->outlives_call_ = !request.request_id().empty();
  source->changes_ = std::move(changes);
  return source;
}

GenerateSource::GenerateSource(JobStore& jobs, BlobStore& blobs, JobName name, int64_t key,
                               v1::Job created)
    : jobs_(jobs),
      blobs_(blobs),
      name_(std::move(name)),
      key_(key),
      to_send_(std::move(created)),
      cursor_(std::in_place, jobs, name_, key, 0, /*job_ended=*/false, 0) {}

absl::StatusOr<Pulled> GenerateSource::Next(v1::GenerateImagesResponse* message) {
  message->Clear();
  if (!images_.empty()) {
    RETURN_IF_ERROR(ReadImage(message));
    return Pulled::kMessage;
  }
  if (to_send_) {
    *message->mutable_job() = *std::exchange(to_send_, std::nullopt);
    return Pulled::kMessage;
  }
  if (finished_) return Pulled::kEnd;
  return NextEvent(message);
}

absl::StatusOr<Pulled> GenerateSource::NextEvent(v1::GenerateImagesResponse* message) {
  for (;;) {
    auto next = cursor_->Next();
    if (ErrorReason(next.status()) == "RESUME_TOKEN_EXPIRED") {
      RETURN_IF_ERROR(GoOnFromSnapshot());
    } else {
      ASSIGN_OR_RETURN(const auto event, std::move(next));
      if (!event) return Pulled::kNothing;
      if (event->has_progress()) {
        *message->mutable_progress() = event->progress();
        return Pulled::kMessage;
      }
      if (event->state_change().has_job()) ended_as_ = event->state_change().job();
    }
    if (!cursor_->ended()) continue;
    finished_ = std::move(ended_as_);
    to_send_ = finished_;
    for (const v1::Output& output : finished_->outputs()) {
      if (output.kind() == v1::OUTPUT_KIND_IMAGE) images_.push_back(output);
    }
    return Next(message);
  }
}

absl::Status GenerateSource::GoOnFromSnapshot() {
  ASSIGN_OR_RETURN(JobSnapshot snapshot, jobs_.Snapshot(name_));
  // Where another job has the name by now, the cursor finds that this one is gone.
  const bool ended = snapshot.key == key_ && IsTerminal(snapshot.job.state());
  cursor_.emplace(jobs_, name_, key_, snapshot.last_seq, ended, snapshot.last_seq);
  ended_as_ = std::move(snapshot.job);
  return absl::OkStatus();
}

absl::Status GenerateSource::ReadImage(v1::GenerateImagesResponse* message) {
  const v1::Output output = std::move(images_.front());
  images_.pop_front();
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(output.blob()));
  ASSIGN_OR_RETURN(auto blob, blobs_.Open(name));
  v1::GeneratedImage& image = *message->mutable_image();
  image.set_index(next_index_++);
  if (blob->size() <= kMostInlineBytes) {
    ASSIGN_OR_RETURN(*image.mutable_png(), blob->Read(0, blob->size()));
  }
  *image.mutable_output() = output;
  return absl::OkStatus();
}

void GenerateSource::ClientGone() {
  if (finished_ || outlives_call_) return;
  auto cancelled = jobs_.Cancel(name_, "");
  LogInfo("client of GenerateImages went away; job cancelled",
          {{"job", name_.ToString()}, {"ok", cancelled.ok()}});
}

}  // namespace likeness::server
