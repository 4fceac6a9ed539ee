// The environment of a job without a server: photos come from memory, models from their
// directories, everything else goes below one directory.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "likeness/v1/worker_service.pb.h"
#include "worker/commands/offline_job.h"
#include "worker/jobs/job_environment.h"
#include "worker/support/scratch.h"
#include "worker/wire/shutdown.h"

namespace likeness {

// Below `out`: the outputs at their paths, and while the job is not finished
// "checkpoint-{step}.safetensors" and "checkpoint.json" (a Checkpoint, and "jobDigest", whose it
// is), from which the same job goes on. The one is there before the other names it: killed at any
// moment, a run leaves its last checkpoint or the one before.
class OfflineEnvironment : public JobEnvironment {
 public:
  // `job`: what it was given; job_digest: JobDigest (offline_job.h).
  OfflineEnvironment(std::filesystem::path out, const OfflineJob& job, std::string job_digest,
                     const Shutdown& shutdown);

  // What an earlier run of this directory left. Throws Error(kFailedPrecondition) if that was
  // another job's, Error(kDataLoss) if it cannot be read.
  std::optional<v1::Checkpoint> LatestCheckpoint() const;
  void ForgetCheckpoint();
  const std::vector<std::string>& warnings() const { return warnings_; }

  const std::filesystem::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string& blob, const std::filesystem::path& to,
                 const OnBytes& on_bytes) override;
  void Keep(const std::filesystem::path& file, const v1::Output& output,
            const OnBytes& on_bytes) override;
  void Resolved(const v1::ResolvedSpec& resolved) override;
  void Warn(const std::string& text) override;
  std::vector<std::string> Warnings() const override {
    const std::set<std::string> sorted(warnings_.begin(), warnings_.end());
    return {sorted.begin(), sorted.end()};
  }
  void Report(const v1::Progress& progress) override;
  void Show(const v1::SampleEvent& sample, const std::filesystem::path& file) override;
  StopReason Stop() override;
  void SaveCheckpoint(int64_t step, const std::filesystem::path& file) override;

 private:
  std::filesystem::path out_;
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::filesystem::path> files_;
  // Previews of earlier runs by their blobs, once one was asked for.
  std::optional<std::map<std::string, std::filesystem::path>> shown_before_;
  std::string job_digest_;
  const Shutdown& shutdown_;
  Scratch scratch_;
  v1::ResolvedSpec resolved_;
  std::vector<std::string> warnings_;
  v1::JobPhase reported_phase_ = v1::JOB_PHASE_UNSPECIFIED;
  int reported_tenths_ = 0;
};

}  // namespace likeness
