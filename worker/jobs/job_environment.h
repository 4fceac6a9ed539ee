// All that a running job sees of the outside: where its bytes come from, where its results go, who
// may stop it. A leased job (lease_environment.h) and an offline one (offline_environment.h) differ
// here and nowhere else.
//
// Used from the one thread that runs the job, but for what says otherwise. What fails throws
// (guard.h turns it into a status).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "likeness/v1/event.pb.h"
#include "likeness/v1/job.pb.h"
#include "worker/training/host.h"

namespace likeness {

class JobEnvironment {
 public:
  virtual ~JobEnvironment() = default;

  // A directory of this job's own, empty at first, removed after it.
  virtual const std::filesystem::path& scratch() const = 0;

  // Bytes of a transfer so far. Called from the thread that asked for it.
  using OnBytes = std::function<void(int64_t bytes)>;

  // Brings a blob, checked against its digest, to `to`.
  virtual void FetchBlob(const std::string& blob, const std::filesystem::path& to,
                         const OnBytes& on_bytes) = 0;

  // Keeps a file as `output`, which describes it (outputs.h). Repeating it is fine.
  virtual void Keep(const std::filesystem::path& file, const v1::Output& output,
                    const OnBytes& on_bytes) = 0;

  // These never wait.
  virtual void Resolved(const v1::ResolvedSpec& resolved) = 0;
  virtual void Warn(const std::string& text) = 0;
  // What was warned of so far, by earlier attempts, too; sorted.
  virtual std::vector<std::string> Warnings() const { return {}; }
  virtual void Report(const v1::Progress& progress) = 0;
  // `file`, which stays where it is, is kept as sample.output if it can be. A sample without an
  // output has no file; a newer one may take its place before anybody has seen it.
  virtual void Show(const v1::SampleEvent& sample, const std::filesystem::path& file) = 0;

  // Asked between steps, and from the thread that writes checkpoints.
  virtual StopReason Stop() = 0;

  // Takes the file over as the state after `step` steps. It may return before the file is safe;
  // what returns later, a drained job included, finds it safe. Another thread than the job's may
  // call this beside the rest, one call at a time.
  virtual void SaveCheckpoint(int64_t step, const std::filesystem::path& file) = 0;
};

}  // namespace likeness
