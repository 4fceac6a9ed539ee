#include "worker/wire/lease_environment.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "worker/jobs/outputs.h"
#include "worker/support/guard.h"

namespace likeness {

namespace fs = std::filesystem;

LeaseEnvironment::LeaseEnvironment(const v1::Lease& lease, LeaseKeeper& keeper, BlobClient& blobs,
                                   WorkerMetrics& metrics, const fs::path& scratch_root,
                                   Shutdown& shutdown)
    : keeper_(keeper),
      blobs_(blobs),
      metrics_(metrics),
      shutdown_(shutdown),
      job_(lease.job()),
      scratch_(scratch_root),
      warned_(lease.job().warnings().begin(), lease.job().warnings().end()) {}

void LeaseEnvironment::FetchBlob(const std::string& blob, const fs::path& to,
                                 const OnBytes& on_bytes) {
  const auto give_up = [this] { return Stop() != StopReason::kNone; };
  ThrowIfError(
      blobs_.Download(BlobOfJob(job_, blob), to, {.give_up = give_up, .on_bytes = on_bytes}));
}

void LeaseEnvironment::Keep(const fs::path& file, const v1::Output& output,
                            const OnBytes& on_bytes) {
  const auto give_up = [this] { return Stop() != StopReason::kNone; };
  ThrowIfError(blobs_.Upload(file, BlobOfJob(job_, output.blob()),
                             {.give_up = give_up, .on_bytes = on_bytes}));
}

void LeaseEnvironment::Resolved(const v1::ResolvedSpec& resolved) {
  resolved_ = resolved;
  keeper_.Resolved(resolved);
}

void LeaseEnvironment::Warn(const std::string& text) {
  if (warned_.insert(text).second) keeper_.Warn(text);
}

void LeaseEnvironment::Report(const v1::Progress& progress) {
  progress_ = progress;
  metrics_.Observe(progress);
  keeper_.Report(progress);
}

void LeaseEnvironment::Show(const v1::SampleEvent& sample, const fs::path& file) {
  if (!sample.has_output()) return keeper_.Sample(sample);
  courier_.Send([this, sample, file] { DeliverSample(sample, file); });
  absl::MutexLock lock(&mutex_);
  shown_since_ = true;  // after it was sent: a checkpoint saved meanwhile does not know it
}

void LeaseEnvironment::DeliverSample(const v1::SampleEvent& sample, const fs::path& file) {
  v1::SampleEvent own = sample;
  absl::Status status = Guard([&] {
    own.mutable_output()->set_blob(BlobOfJob(job_, sample.output().blob()));
    ThrowIfError(Upload(file, own.output().blob()));
  });
  if (!status.ok()) return Complain("A preview", status);
  keeper_.Sample(own);
}

StopReason LeaseEnvironment::Stop() {
  if (keeper_.lost() || keeper_.cancel_requested()) return StopReason::kCancel;
  const bool leaves = shutdown_.requested() || keeper_.release_requested();
  return leaves ? StopReason::kDrain : StopReason::kNone;
}

void LeaseEnvironment::SaveCheckpoint(int64_t step, const fs::path& file) {
  shutdown_.Extend();
  std::optional<Saved> overtaken = Saved{step, file};
  bool has_errand = false;  // that of the one overtaken, unless something was shown in between
  int64_t errand = 0;
  {
    absl::MutexLock lock(&mutex_);
    has_errand = waiting_ && !shown_since_;
    if (!has_errand) ++errands_;
    overtaken->errand = errand = errands_;
    std::swap(waiting_, overtaken);
    shown_since_ = false;
  }
  if (!has_errand) courier_.Send([this, errand] { DeliverCheckpoint(errand); });
  if (!overtaken) return;
  std::error_code ignored;
  fs::remove(overtaken->file, ignored);
}

void LeaseEnvironment::DeliverCheckpoint(int64_t errand) {
  std::optional<Saved> saved;
  {
    absl::MutexLock lock(&mutex_);
    if (waiting_ && waiting_->errand == errand) std::swap(waiting_, saved);
  }
  if (!saved) return;
  v1::Checkpoint checkpoint;
  checkpoint.set_step(saved->step);
  *checkpoint.mutable_resolved() = resolved_;
  const absl::Status status = Guard([&] {
    checkpoint.set_blob(BlobOfJob(job_, DescribeFile(saved->file, {}).blob()));
    ThrowIfError(Upload(saved->file, checkpoint.blob()));
  });
  std::error_code ignored;
  fs::remove(saved->file, ignored);
  if (!status.ok()) return Complain("The checkpoint", status);
  keeper_.Checkpoint(checkpoint);
}

absl::Status LeaseEnvironment::Upload(const fs::path& file, const std::string& blob) {
  int64_t before = 0;
  return blobs_.Upload(file, blob,
                       {.give_up = [this] { return GivesUp(); },
                        .on_bytes =
                            [&](int64_t bytes) {
                              delivered_bytes_ += bytes - std::exchange(before, bytes);
                              shutdown_.Extend();
                            }});
}

void LeaseEnvironment::Complain(const std::string& what, const absl::Status& why) {
  if (GivesUp()) return;  // nobody is waiting for it
  LogWarning("not stored", {{"what", what}, {"error", why}});
  keeper_.Log(v1::LOG_SEVERITY_WARNING,
              absl::StrCat(what, " could not be stored: ", why.message()));
}

void LeaseEnvironment::Flush() {
  int64_t reported = delivered_bytes_;
  while (!courier_.Flush(absl::Seconds(1))) {
    if (delivered_bytes_ == reported) continue;
    reported = delivered_bytes_;
    v1::Progress progress = progress_;
    progress.set_unit("bytes");
    progress.set_done(reported);
    progress.set_total(0);
    progress.clear_remaining_duration();
    keeper_.Report(progress);
  }
}

// Nothing is worth waiting for once the job is another's or nobody's.
bool LeaseEnvironment::GivesUp() const {
  return keeper_.lost() || keeper_.cancel_requested() || shutdown_.overdue();
}

}  // namespace likeness
