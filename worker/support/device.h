// Which processor a worker computes on, and with how many threads.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace likeness {

// "cpu", "cuda:N", or "auto": the first GPU if there is one. INVALID_ARGUMENT for anything else or
// a GPU that is not there.
absl::StatusOr<c10::Device> ParseDevice(const std::string& text);

// "fp32" or "bf16". INVALID_ARGUMENT for anything else, and for bf16 on a device without
// instructions for it, which would draw more slowly than in fp32.
absl::StatusOr<c10::ScalarType> ParseDrawingPrecision(const std::string& text, c10::Device device);
// Whether the device computes in bfloat16 rather than by way of float32.
bool ComputesBfloat16(c10::Device device);

// What a worker says of it: "cpu AMD EPYC 7B13, 2 threads", "cuda:0". At most 128 bytes.
std::string DeviceName(c10::Device device);

// Bytes of the GPU's memory; of the machine's for the CPU. 0 when it cannot be told.
int64_t DeviceMemory(c10::Device device);

// Whether a GPU computes float32 matrix products and convolutions in TF32: inputs of 10 bits of
// mantissa, sums in float32. Without effect on a CPU.
void AllowTf32(bool allowed, c10::Device device);

// While it lives, a GPU computes in float32 whatever is allowed otherwise: two ways of computing
// the same differ by a thousandth and more in TF32.
class InFullPrecision {
 public:
  explicit InFullPrecision(c10::Device device);
  ~InFullPrecision();
  InFullPrecision(const InFullPrecision&) = delete;
  InFullPrecision& operator=(const InFullPrecision&) = delete;

 private:
  c10::Device device_;
  bool allowed_;
};

// Threads of LibTorch and OpenCV; 0 leaves them as they are.
void SetThreads(int threads);

}  // namespace likeness
