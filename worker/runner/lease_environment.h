// A leased job's environment: bytes go through the server, news through the lease's heartbeats.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "worker/runner/blob_client.h"
#include "worker/runner/courier.h"
#include "worker/runner/job_environment.h"
#include "worker/runner/lease_keeper.h"
#include "worker/runner/scratch.h"
#include "worker/runner/shutdown.h"
#include "worker/runner/worker_metrics.h"

namespace likeness {

class LeaseEnvironment : public JobEnvironment {
 public:
  // All references must outlive this.
  LeaseEnvironment(const v1::Lease& lease, LeaseKeeper& keeper, BlobClient& blobs,
                   WorkerMetrics& metrics, const std::filesystem::path& scratch_root,
                   const Shutdown& shutdown);

  const std::filesystem::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string& blob, const std::filesystem::path& to) override;
  void Keep(const std::filesystem::path& file, const v1::Output& output) override;
  void Resolved(const v1::ResolvedSpec& resolved) override;
  void Warn(const std::string& text) override;
  void Report(const v1::Progress& progress) override;
  void Show(const v1::SampleEvent& sample, const std::filesystem::path& file) override;
  StopReason Stop() override;
  void SaveCheckpoint(int64_t step, const std::filesystem::path& file) override;

  // Waits until what was shown and saved is with the server. Throws if a picture could not be
  // brought there.
  void Flush();

 private:
  absl::Status DeliverCheckpoint(int64_t step, const std::filesystem::path& file);
  bool GivesUp() const;

  LeaseKeeper& keeper_;
  BlobClient& blobs_;
  WorkerMetrics& metrics_;
  const Shutdown& shutdown_;
  const v1::Job& job_;
  Scratch scratch_;
  std::set<std::string> warned_;  // by this or an earlier attempt
  v1::ResolvedSpec resolved_;
  Courier courier_;  // last: its errands use the above
};

}  // namespace likeness
