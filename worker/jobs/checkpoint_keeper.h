// Keeps a job's checkpoints beside its training: a checkpoint is copied, and written on a second
// thread while training goes on. docs/decisions/0106-checkpoints-beside-training.md says why so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <string>

#include "absl/status/status.h"
#include "worker/jobs/job_environment.h"
#include "worker/training/host.h"

namespace likeness {

struct CheckpointPolicy {
  // Of the training's time, what checkpoints may take of it: those of an interval are left out
  // where they would take more. 0: none is left out.
  double most_share = 0;
  // Writing takes time from the training, too, as where both compute on the CPU.
  bool writing_slows_training = false;
  // Whether the host's memory has room for a copy of so many bytes; without one a checkpoint is
  // written before training goes on. Null: it has.
  std::function<bool(int64_t bytes)> has_room = {};
  // Seconds of a clock that never goes back; null: of the system's.
  std::function<double()> clock = {};
};

// `asked`: what the job asks for, before defaults: the interval that it names is kept to.
CheckpointPolicy CheckpointPolicyOf(const v1::Training& asked, bool trains_on_cpu);

class CheckpointKeeper {
 public:
  CheckpointKeeper(JobEnvironment& environment, CheckpointPolicy policy);
  // Waits until the checkpoint that is being written is safe, or given up for a cancelled job.
  ~CheckpointKeeper();

  // Training begins, if it has not begun already.
  void Begin();
  // As Host::SaveCheckpoint. One is written at a time: where one is still being written, one of an
  // interval is left out if it may be, and any other waits for it. True, too, where it is known to
  // be safe already.
  bool Save(int64_t step, CheckpointReason reason, const CheckpointContents& contents,
            const std::string& host_notes);
  // Warns of a checkpoint that could not be written. Never waits.
  void Look();
  // How long training has waited for checkpoints.
  double seconds() const { return waited_; }

 private:
  struct Written {
    int64_t step = 0;
    absl::Status status;
    double seconds = 0;
  };
  // On either thread.
  Written Write(int64_t step, const std::filesystem::path& file, const CheckpointContents& contents,
                const std::string& host_notes);
  bool writing() const;
  void Collect();  // waits
  void Warn(const absl::Status& status);
  bool IsDue(int64_t bytes) const;

  JobEnvironment& environment_;
  CheckpointPolicy policy_;
  double begun_ = -1;
  double waited_ = 0;
  double spent_ = 0;         // of the training's time, as the policy counts it
  double spent_before_ = 0;  // before the last checkpoint
  bool measured_ = false;
  int saves_ = 0;           // two of one step are two files: the first may still be on its way
  int64_t kept_step_ = -1;  // of the latest that is known to be safe
  std::future<Written> writing_;
};

}  // namespace likeness
