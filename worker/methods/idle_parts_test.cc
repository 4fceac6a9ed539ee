// What encodes and decodes while the network learns.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "worker/methods/fine_tune_fixture.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Bytes of a mapped file that lie in this process's memory.
int64_t ResidentBytes(const fs::path& mapped) {
  std::ifstream maps("/proc/self/smaps");
  int64_t kilobytes = 0;
  bool of_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) of_file = line.ends_with(mapped.string());
    if (of_file && line.starts_with("Rss:")) kilobytes += std::stoll(line.substr(4));
  }
  return kilobytes << 10;
}

using IdlePartsTest = FineTuneModelTest;

TEST_F(IdlePartsTest, TheAutoencoderTakesNoMemoryWhileTheNetworkLearns) {
  const fs::path file = dir_.path() / "base/vae/diffusion_pytorch_model.safetensors";
  int64_t most_before = 0, most_meanwhile = 0;
  host("out").stop = [&](const RecordingHost& host) {
    if (host.steps_done() > 0 && host.steps_done() % 2 == 0) return StopReason::kNone;  // drawing
    auto& most = host.steps_done() > 0 ? most_meanwhile : most_before;
    most = std::max(most, ResidentBytes(file));
    return StopReason::kNone;
  };
  FineTuneOptions options = Job();
  options.previews = {.every = 2, .prompts = {"a sks dog"}, .steps = 1};
  Train(options, "out");
  // Pages that two tensors share stay: of this small model's, more than half.
  const auto allowed = static_cast<int64_t>(fs::file_size(file)) * 2 / 3;
  EXPECT_GT(most_before, allowed);
  EXPECT_LT(most_meanwhile, allowed);
}

}  // namespace
}  // namespace likeness
