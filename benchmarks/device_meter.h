// The clock and the memory of the device that computes.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace likeness {

// Returns when `device` has done all that it was given: a GPU computes while the program goes on.
void Synchronize(torch::Device device);

// PeakBytes counts from here. On the CPU it does not: the process's peak cannot be taken back.
void ForgetPeak(torch::Device device);

// Most bytes of the device's memory that tensors held at one time; on the CPU, of the process.
int64_t PeakBytes(torch::Device device);

// Seconds that passed, and seconds that the process computed, over all its threads: where other
// work shares the processor, the second still says what the first would say without it.
struct Lap {
  double wall;
  double cpu;
};

class Stopwatch {
 public:
  explicit Stopwatch(torch::Device device) : device_(device), last_(Now()) {}
  // Time since it was made or last read; all that `device` was given is done.
  Lap Read();

 private:
  Lap Now() const;
  torch::Device device_;
  Lap last_;
};

}  // namespace likeness
