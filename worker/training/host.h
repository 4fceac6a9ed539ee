// All that a recipe sees of the outside: report, show, keep a checkpoint, be stopped. Jobs
// implement it over their environment, a test over vectors. A recipe calls it from one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "worker/base/image.h"
#include "worker/training/measurements.h"
#include "worker/training/phase.h"

namespace likeness {

// Where a job stands. What a phase does not have stays empty. A job whose progress does not change
// for long is taken to hang, so whatever takes long reports on its way, and be it another
// eta_seconds.
struct Progress {
  Phase phase = Phase::kPreparing;
  int64_t done = 0;
  int64_t total = 0;      // 0: not known
  std::string unit = {};  // of done and total: "pictures", "steps"
  std::optional<double> loss = {};
  std::optional<double> learning_rate = {};
  std::optional<double> grad_norm = {};  // before clipping
  std::optional<double> units_per_second = {};
  std::optional<double> eta_seconds = {};  // to the end of this phase
  std::optional<int64_t> drawn = {};       // of `done` class pictures: did not lie in the cache
  std::optional<LatestMeasured> measured = {};
};

// A picture drawn while training.
struct Preview {
  int64_t step = 0;  // optimizer steps done when it was drawn
  std::string prompt;
  Image image;
};

struct CheckpointContents;

enum class StopReason {
  kNone,
  kCancel,  // stop and throw the work away
  kDrain,   // stop after saving a checkpoint: another worker goes on from it
};

// Why a checkpoint is offered.
enum class CheckpointReason {
  kInterval,  // its step has come
  kLast,      // training has ended: what follows is not resumed in between
  kStop,      // the host asked to stop
};

class Host {
 public:
  virtual ~Host() = default;

  // Never waits.
  virtual void Report(const Progress& progress) = 0;

  // Calls `draw` and shows what it returns; nothing where it was stopped. A job goes on without a
  // preview that cannot be drawn: what `draw` throws is the host's to deal with.
  virtual void ShowPreview(const std::function<std::optional<Preview>()>& draw) = 0;

  // Calls `measure`, which measures what is trained. A host may deal with what it throws: a job
  // goes on without what cannot be measured.
  virtual void Measure(const std::function<void()>& measure) { measure(); }

  // Asked between forward passes, sampling steps and pictures: whatever takes seconds.
  virtual StopReason Stop() = 0;

  // Writes the contents (WriteCheckpoint) and keeps that file as the job's latest checkpoint; it
  // may do so after this has returned, of a copy, and until the host is gone. A job goes on without
  // a checkpoint that cannot be written: that is the host's to deal with. A host may leave out one
  // of an interval, or fail to write one, and then returns false. Where the job is to stop, that of
  // the step is offered again, for it may have failed since. `step`: optimizer steps done.
  virtual bool SaveCheckpoint(int64_t step, CheckpointReason reason,
                              const CheckpointContents& contents) = 0;

  // The checkpoint to go on from, if there is one.
  virtual std::optional<std::filesystem::path> LatestCheckpoint() = 0;
};

// The host's own notes in a checkpoint, its metadata "host"; empty where there are none. Throws
// Error(kDataLoss) if the file is cut.
std::string HostNotes(const std::filesystem::path& checkpoint);

// Throws Error(kCancelled) for any reason but kNone.
void ThrowIfStopped(StopReason reason);

}  // namespace likeness
