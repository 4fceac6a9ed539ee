#include "worker/training/recording_host.h"

#include <algorithm>

#include "worker/training/checkpoint_contents.h"

namespace likeness {

Image TestImage(int number, int size) {
  Image image{size, size, {}};
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      image.rgb.push_back(static_cast<uint8_t>(60 * (number % 4)));
      image.rgb.push_back(static_cast<uint8_t>((x / (2 + number)) % 2 * 255));
      image.rgb.push_back(static_cast<uint8_t>(y * 255 / size));
    }
  }
  return image;
}

void RecordingHost::Report(const Progress& report) { progress.push_back(report); }

bool RecordingHost::SaveCheckpoint(int64_t step, CheckpointReason reason,
                                   const CheckpointContents& contents) {
  if (leaves_out_intervals && reason == CheckpointReason::kInterval) return false;
  if (fails_to_write) return false;
  if (!checkpoints.empty() && checkpoints.back() == step) return true;
  WriteCheckpoint(dir_ / "checkpoint.safetensors", /*host_notes=*/"", contents);
  checkpoints.push_back(step);
  return true;
}

std::optional<std::filesystem::path> RecordingHost::LatestCheckpoint() {
  const auto file = dir_ / "checkpoint.safetensors";
  return std::filesystem::exists(file) ? std::optional(file) : std::nullopt;
}

std::vector<Progress> RecordingHost::Steps() const {
  std::vector<Progress> steps;
  for (const Progress& report : progress) {
    const int64_t before = steps.empty() ? 0 : steps.back().done;
    if (report.phase == Phase::kTraining && report.loss && report.done > before) {
      steps.push_back(report);
    }
  }
  return steps;
}

int64_t RecordingHost::steps_done() const {
  const auto steps = Steps();
  return steps.empty() ? 0 : steps.back().done;
}

int64_t RecordingHost::CountPhase(Phase phase) const {
  return std::count_if(progress.begin(), progress.end(),
                       [&](const Progress& report) { return report.phase == phase; });
}

std::vector<Phase> RecordingHost::Phases() const {
  std::vector<Phase> phases;
  for (const Progress& report : progress) {
    if (phases.empty() || phases.back() != report.phase) phases.push_back(report.phase);
  }
  return phases;
}

}  // namespace likeness
