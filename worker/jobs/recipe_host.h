// A JobEnvironment as the Host that a training recipe knows.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "worker/jobs/checkpoint_keeper.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/picture_settings.h"
#include "worker/training/host.h"

namespace likeness {

class RecipeHost : public Host {
 public:
  // checkpoint: the file to go on from, if any: the previews of the attempts before are fetched,
  // and their times count among those of `phases`. settings: of the previews, which are all drawn
  // from the order's first seed. withholds: whether a preview is not to be shown; where it throws,
  // it is not.
  RecipeHost(JobEnvironment& environment, Phases& phases,
             std::optional<std::filesystem::path> checkpoint, CheckpointPolicy checkpoints,
             PictureSettings settings, std::function<bool(const Image&)> withholds = {});

  void Report(const Progress& progress) override;
  void ShowPreview(const std::function<std::optional<Preview>()>& draw) override;
  void Measure(const std::function<void()>& measure) override;
  StopReason Stop() override;
  bool SaveCheckpoint(int64_t step, CheckpointReason reason,
                      const CheckpointContents& contents) override;
  std::optional<std::filesystem::path> LatestCheckpoint() override;

  // The previews so far, as outputs of the job. Their files lie in its scratch directory.
  const std::vector<v1::Output>& previews() const { return previews_; }
  // How long training has waited for checkpoints, in this attempt.
  double checkpoint_seconds() const { return checkpoints_.seconds(); }

 private:
  void ReadNotes();
  void Show(const Preview& preview);

  JobEnvironment& environment_;
  Phases& phases_;
  std::optional<std::filesystem::path> checkpoint_;
  PictureSettings settings_;
  const std::function<bool(const Image&)> withholds_;
  std::vector<v1::Output> previews_;
  int64_t preview_step_ = 0;  // of the last preview
  int preview_number_ = 0;    // among those of its step
  CheckpointKeeper checkpoints_;
};

}  // namespace likeness
