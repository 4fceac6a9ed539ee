#include "worker/commands/offline_environment.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "common/job_phase.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/atomic_file.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"
#include "worker/support/proto_json.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kCheckpointRecord[] = "checkpoint.json";
constexpr char kJobDigest[] = "jobDigest";

std::string CheckpointFile(int64_t step) {
  return absl::StrCat("checkpoint-", step, ".safetensors");
}

fs::path ScratchRoot(const fs::path& out) {
  const fs::path root = out / ".scratch";
  Scratch::RemoveOrphans(root);
  return root;
}

// Other checkpoints than the one of `step`; all for -1.
void RemoveCheckpointsBut(int64_t step, const fs::path& directory) {
  std::error_code ignored;  // what stays is in nobody's way
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("checkpoint-") && name != CheckpointFile(step)) {
      fs::remove(entry.path(), ignored);
    }
  }
}

// The previews that earlier runs have left, by their blobs.
std::map<std::string, fs::path> ShownBefore(const fs::path& out) {
  std::map<std::string, fs::path> shown;
  const fs::path previews = out / "previews";
  if (!fs::exists(previews)) return shown;
  for (const auto& file : FilesBelow(previews)) shown.emplace(DescribeFile(file, {}).blob(), file);
  return shown;
}

}  // namespace

OfflineEnvironment::OfflineEnvironment(fs::path out, const OfflineJob& job, std::string job_digest,
                                       const Shutdown& shutdown)
    : out_(std::move(out)),
      blobs_(job.blobs),
      files_(job.files),
      job_digest_(std::move(job_digest)),
      shutdown_(shutdown),
      scratch_(ScratchRoot(out_)) {}

std::optional<v1::Checkpoint> OfflineEnvironment::LatestCheckpoint() const {
  v1::Checkpoint checkpoint;
  if (!fs::exists(out_ / kCheckpointRecord)) return std::nullopt;
  auto record = nlohmann::json::parse(ReadFile(out_ / kCheckpointRecord), /*cb=*/nullptr,
                                      /*allow_exceptions=*/false);
  std::string job;
  if (record.is_object() && record.contains(kJobDigest) && record[kJobDigest].is_string()) {
    job = record[kJobDigest];
    record.erase(kJobDigest);
  }
  if (record.is_discarded() || !FromJson(record.dump(), checkpoint).ok()) {
    throw Error(ErrorKind::kDataLoss,
                std::string(kCheckpointRecord) + " cannot be read; remove it to start anew");
  }
  if (job != job_digest_) {
    throw Error(ErrorKind::kFailedPrecondition,
                std::string(kCheckpointRecord) +
                    " in the output directory belongs to another job; remove it to start this one "
                    "there");
  }
  return checkpoint;
}

void OfflineEnvironment::ForgetCheckpoint() {
  fs::remove(out_ / kCheckpointRecord);
  RemoveCheckpointsBut(-1, out_);
}

void OfflineEnvironment::FetchBlob(const std::string& blob, const fs::path& to, const OnBytes&) {
  const auto known = blobs_.find(blob);
  if (known != blobs_.end()) {
    WriteFile(to, known->second);
    return;
  }
  const auto file = files_.find(blob);
  if (file != files_.end()) {
    fs::copy_file(file->second, to);
    return;
  }
  const auto checkpoint = LatestCheckpoint();
  if (!checkpoint || checkpoint->blob() != blob) {
    if (!shown_before_) shown_before_ = ShownBefore(out_);
    if (const auto shown = shown_before_->find(blob); shown != shown_before_->end()) {
      fs::copy_file(shown->second, to);
      return;
    }
    throw Error(ErrorKind::kNotFound, blob + " is not among the photos given");
  }
  fs::copy_file(out_ / CheckpointFile(checkpoint->step()), to);
  if (DescribeFile(to, {}).blob() != blob) {
    throw Error(ErrorKind::kDataLoss, CheckpointFile(checkpoint->step()) + " is damaged; remove " +
                                          kCheckpointRecord + " to start anew");
  }
}

void OfflineEnvironment::Keep(const fs::path& file, const v1::Output& output, const OnBytes&) {
  const fs::path place = out_ / output.path();
  fs::create_directories(place.parent_path());
  fs::copy_file(file, place, fs::copy_options::overwrite_existing);
}

void OfflineEnvironment::Resolved(const v1::ResolvedSpec& resolved) { resolved_ = resolved; }

void OfflineEnvironment::Warn(const std::string& text) {
  warnings_.push_back(text);
  std::fprintf(stderr, "warning: %s\n", text.c_str());
}

// A line for each phase and each tenth of it.
void OfflineEnvironment::Report(const v1::Progress& progress) {
  const int tenths =
      progress.total() > 0 ? static_cast<int>(10 * progress.done() / progress.total()) : 0;
  if (progress.phase() == reported_phase_ && tenths == reported_tenths_) return;
  reported_phase_ = progress.phase();
  reported_tenths_ = tenths;
  std::string line = PhaseLabel(progress.phase());
  if (progress.total() > 0) {
    absl::StrAppend(&line, " ", progress.done(), "/", progress.total(), " ", progress.unit());
  }
  if (progress.has_training()) {
    absl::StrAppend(&line, "  loss ", progress.training().loss());
    const v1::TrainingMeasurements& measured = progress.measurements();
    if (measured.has_validation_loss()) {
      absl::StrAppend(&line, "  validation loss ", measured.validation_loss());
    }
  }
  std::fprintf(stderr, "%s\n", line.c_str());
}

void OfflineEnvironment::Show(const v1::SampleEvent& sample, const fs::path& file) {
  if (!sample.has_output()) return;  // nobody watches
  Keep(file, sample.output(), {});
}

StopReason OfflineEnvironment::Stop() {
  return shutdown_.requested() ? StopReason::kDrain : StopReason::kNone;
}

void OfflineEnvironment::SaveCheckpoint(int64_t step, const fs::path& file) {
  v1::Checkpoint checkpoint;
  checkpoint.set_step(step);
  checkpoint.set_blob(DescribeFile(file, {}).blob());
  *checkpoint.mutable_resolved() = resolved_;
  fs::rename(file, out_ / CheckpointFile(step));
  AtomicFile record(out_ / kCheckpointRecord);
  auto json = nlohmann::json::parse(ToJson(checkpoint));
  json[kJobDigest] = job_digest_;
  record.Write(json.dump(/*indent=*/1));
  record.Commit();
  RemoveCheckpointsBut(step, out_);
}

}  // namespace likeness
