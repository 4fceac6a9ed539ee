// A leased job's environment: bytes go through the server, news through the lease's heartbeats.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/jobs/job_environment.h"
#include "worker/support/scratch.h"
#include "worker/wire/blob_client.h"
#include "worker/wire/courier.h"
#include "worker/wire/lease_keeper.h"
#include "worker/wire/shutdown.h"
#include "worker/wire/worker_metrics.h"

namespace likeness {

class LeaseEnvironment : public JobEnvironment {
 public:
  // All references must outlive this.
  LeaseEnvironment(const v1::Lease& lease, LeaseKeeper& keeper, BlobClient& blobs,
                   WorkerMetrics& metrics, const std::filesystem::path& scratch_root,
                   Shutdown& shutdown);

  const std::filesystem::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string& blob, const std::filesystem::path& to,
                 const OnBytes& on_bytes) override;
  void Keep(const std::filesystem::path& file, const v1::Output& output,
            const OnBytes& on_bytes) override;
  void Resolved(const v1::ResolvedSpec& resolved) override;
  void Warn(const std::string& text) override;
  std::vector<std::string> Warnings() const override { return {warned_.begin(), warned_.end()}; }
  void Report(const v1::Progress& progress) override;
  void Show(const v1::SampleEvent& sample, const std::filesystem::path& file) override;
  StopReason Stop() override;
  // Of checkpoints that wait for their turn the newest alone is kept. What was shown before it is
  // delivered before it.
  void SaveCheckpoint(int64_t step, const std::filesystem::path& file) override;

  // Waits until what was shown and saved is with the server, as far as it can be brought there, and
  // reports the bytes meanwhile.
  void Flush();

 private:
  struct Saved {
    int64_t step = 0;
    std::filesystem::path file;
    int64_t errand = 0;  // which delivers it
  };

  // On the courier's thread. Failures are logged: neither is worth the job.
  void DeliverSample(const v1::SampleEvent& sample, const std::filesystem::path& file);
  void DeliverCheckpoint(int64_t errand);
  absl::Status Upload(const std::filesystem::path& file, const std::string& blob);
  void Complain(const std::string& what, const absl::Status& why);
  bool GivesUp() const;

  LeaseKeeper& keeper_;
  BlobClient& blobs_;
  WorkerMetrics& metrics_;
  Shutdown& shutdown_;
  const v1::Job& job_;
  Scratch scratch_;
  std::set<std::string> warned_;  // by this or an earlier attempt
  v1::ResolvedSpec resolved_;
  v1::Progress progress_;  // the last
  std::atomic<int64_t> delivered_bytes_ = 0;
  absl::Mutex mutex_;
  std::optional<Saved> waiting_ ABSL_GUARDED_BY(mutex_);  // to be delivered by an errand
  int64_t errands_ ABSL_GUARDED_BY(mutex_) = 0;           // that were sent for checkpoints
  bool shown_since_ ABSL_GUARDED_BY(mutex_) = false;      // the last of these
  Courier courier_;                                       // last: its errands use the above
};

}  // namespace likeness
