// For tests: a picture to learn from, and a host that remembers.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/training/host.h"

namespace likeness {

// A picture of coloured stripes, another for each number.
Image TestImage(int number, int size = 16);

class RecordingHost : public Host {
 public:
  explicit RecordingHost(std::filesystem::path dir) : dir_(std::move(dir)) {}

  void Report(const Progress& progress) override;
  void ShowPreview(const std::function<std::optional<Preview>()>& draw) override {
    if (const auto preview = draw()) previews.push_back(*preview);
  }
  StopReason Stop() override { return stop ? stop(*this) : StopReason::kNone; }
  bool SaveCheckpoint(int64_t step, CheckpointReason reason,
                      const CheckpointContents& contents) override;
  std::optional<std::filesystem::path> LatestCheckpoint() override;

  std::vector<Progress> Steps() const;  // the first report after each optimizer step
  int64_t steps_done() const;
  int64_t CountPhase(Phase phase) const;
  std::vector<Phase> Phases() const;  // as they came, repetitions left out

  std::vector<Progress> progress;
  std::vector<Preview> previews;
  std::vector<int64_t> checkpoints;  // steps
  std::function<StopReason(const RecordingHost&)> stop;
  bool leaves_out_intervals = false;  // every checkpoint that may be left out
  bool fails_to_write = false;

 private:
  std::filesystem::path dir_;
};

}  // namespace likeness
