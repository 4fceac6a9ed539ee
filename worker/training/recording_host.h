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
  void ShowPreview(const Preview& preview) override { previews.push_back(preview); }
  StopReason Stop() override { return stop ? stop(*this) : StopReason::kNone; }
  void SaveCheckpoint(int64_t step,
                      const std::function<void(const std::filesystem::path&)>& write) override;
  std::optional<std::filesystem::path> LatestCheckpoint() override;

  int64_t steps_done() const;  // of phase "train"
  int64_t CountPhase(const std::string& phase) const;

  std::vector<Progress> progress;
  std::vector<Preview> previews;
  std::vector<int64_t> checkpoints;  // steps
  std::function<StopReason(const RecordingHost&)> stop;

 private:
  std::filesystem::path dir_;
};

}  // namespace likeness
