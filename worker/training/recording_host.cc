#include "worker/training/recording_host.h"

#include <algorithm>

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

void RecordingHost::SaveCheckpoint(int64_t step,
                                   const std::function<void(const std::filesystem::path&)>& write) {
  write(dir_ / "checkpoint.safetensors");
  checkpoints.push_back(step);
}

std::optional<std::filesystem::path> RecordingHost::LatestCheckpoint() {
  const auto file = dir_ / "checkpoint.safetensors";
  return std::filesystem::exists(file) ? std::optional(file) : std::nullopt;
}

int64_t RecordingHost::steps_done() const { return CountPhase("train"); }

int64_t RecordingHost::CountPhase(const std::string& phase) const {
  return std::count_if(progress.begin(), progress.end(),
                       [&](const Progress& report) { return report.phase == phase; });
}

}  // namespace likeness
