#include "worker/runner/lease_environment.h"

#include "common/logging.h"
#include "common/rpc_error.h"
#include "worker/runner/guard.h"
#include "worker/runner/outputs.h"

namespace likeness {

namespace fs = std::filesystem;

LeaseEnvironment::LeaseEnvironment(const v1::Lease& lease, LeaseKeeper& keeper, BlobClient& blobs,
                                   WorkerMetrics& metrics, const fs::path& scratch_root,
                                   const Shutdown& shutdown)
    : keeper_(keeper),
      blobs_(blobs),
      metrics_(metrics),
      shutdown_(shutdown),
      job_(lease.job()),
      scratch_(scratch_root),
      warned_(lease.job().warnings().begin(), lease.job().warnings().end()) {}

void LeaseEnvironment::FetchBlob(const std::string& blob, const fs::path& to) {
  ThrowIfError(blobs_.Download(blob, to, [this] { return GivesUp(); }));
}

void LeaseEnvironment::Keep(const fs::path& file, const v1::Output& output) {
  ThrowIfError(blobs_.Upload(file, BlobOfJob(job_, output.blob()), [this] { return GivesUp(); }));
}

void LeaseEnvironment::Resolved(const v1::ResolvedSpec& resolved) {
  resolved_ = resolved;
  keeper_.Resolved(resolved);
}

void LeaseEnvironment::Warn(const std::string& text) {
  if (warned_.insert(text).second) keeper_.Warn(text);
}

void LeaseEnvironment::Report(const v1::Progress& progress) {
  metrics_.Observe(progress);
  keeper_.Report(progress);
}

void LeaseEnvironment::Show(const v1::SampleEvent& sample, const fs::path& file) {
  v1::SampleEvent own = sample;
  own.mutable_output()->set_blob(BlobOfJob(job_, sample.output().blob()));
  courier_.Send([this, own, file]() -> absl::Status {
    const auto status = blobs_.Upload(file, own.output().blob(), [this] { return GivesUp(); });
    if (status.ok()) keeper_.Sample(own);
    return status;
  });
}

StopReason LeaseEnvironment::Stop() {
  if (keeper_.lost() || keeper_.cancel_requested()) return StopReason::kCancel;
  return shutdown_.requested() ? StopReason::kDrain : StopReason::kNone;
}

void LeaseEnvironment::SaveCheckpoint(int64_t step, const fs::path& file) {
  courier_.Send([this, step, file] { return DeliverCheckpoint(step, file); });
}

// A checkpoint only saves work, so a job does not fail for want of one.
absl::Status LeaseEnvironment::DeliverCheckpoint(int64_t step, const fs::path& file) {
  v1::Output description;
  absl::Status status = Guard([&] {
    description = DescribeFile(file, {});
    description.set_blob(BlobOfJob(job_, description.blob()));
  });
  if (status.ok()) {
    status = blobs_.Upload(file, description.blob(), [this] { return GivesUp(); });
  }
  if (status.ok()) {
    v1::Checkpoint checkpoint;
    checkpoint.set_step(step);
    checkpoint.set_blob(description.blob());
    *checkpoint.mutable_resolved() = resolved_;
    keeper_.Checkpoint(checkpoint);
  } else if (!GivesUp()) {
    LogWarning("checkpoint not stored", {{"step", step}, {"error", status.ToString()}});
    keeper_.Log(v1::LOG_SEVERITY_WARNING,
                "The checkpoint could not be stored: " + std::string(status.message()));
  }
  fs::remove(file);
  return absl::OkStatus();
}

void LeaseEnvironment::Flush() { ThrowIfError(courier_.Flush()); }

// Nothing is worth waiting for once the job is another's or nobody's.
bool LeaseEnvironment::GivesUp() const {
  return keeper_.lost() || keeper_.cancel_requested() || shutdown_.overdue();
}

}  // namespace likeness
