// What the engine's benchmarks share: their flags, a stopwatch, and how they say what they found.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>
#include <vector>

#include "common/flags.h"

namespace likeness {

struct TimingOptions {
  std::string model = "models/mini";  // a diffusers directory
  std::string dtype = "float32";
  int threads = 1;
  int warm_up = 2;  // repetitions that do not count
  int repetitions = 10;
  bool json = false;

  torch::ScalarType ScalarType() const;
};

// Adds the flags of `options` to `flags`, parses the command line, and sets torch's threads and
// memory as the worker does. Gives the exit code where the program has nothing more to do.
std::optional<int> ParseTimingFlags(FlagSet& flags, TimingOptions& options, int argc, char** argv);

// Seconds that passed, and seconds that the process computed, over all its threads: where other
// work shares the processor, the second still says what the first would say without it.
struct Lap {
  double wall;
  double cpu;
};

class Stopwatch {
 public:
  // Time since it was made or last read.
  Lap Read();

 private:
  Lap last_ = Now();
  static Lap Now();
};

// Prints the median of `laps`, one a repetition, and the process's peak memory; with --json one
// object that holds every repetition, and `extra` (", \"name\": value" ...).
void PrintTiming(const std::string& what, const TimingOptions& options,
                 const std::vector<Lap>& laps, const std::string& extra = "");

}  // namespace likeness
