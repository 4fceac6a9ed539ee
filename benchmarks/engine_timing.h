// What the engine's benchmarks share: their flags, and how they say what they found.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>
#include <vector>

#include "benchmarks/device_meter.h"
#include "common/flags.h"

namespace likeness {

struct TimingOptions {
  std::string model = "models/mini";  // a diffusers directory
  std::string dtype = "float32";
  std::string device = "cpu";
  int threads = 1;
  int warm_up = 2;  // repetitions that do not count
  int repetitions = 10;
  bool json = false;

  torch::ScalarType ScalarType() const;
  torch::Device Device() const { return torch::Device(device); }
};

// Adds the flags of `options` to `flags`, parses the command line, and sets torch's threads and
// memory as the worker does. Gives the exit code where the program has nothing more to do.
std::optional<int> ParseTimingFlags(FlagSet& flags, TimingOptions& options, int argc, char** argv);

// Prints the median of `laps`, one a repetition, and the device's peak memory; with --json one
// object that holds every repetition, and `extra` (", \"name\": value" ...).
void PrintTiming(const std::string& what, const TimingOptions& options,
                 const std::vector<Lap>& laps, const std::string& extra = "");

}  // namespace likeness
