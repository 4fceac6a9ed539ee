// Which processor a worker computes on, and with how many threads.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "absl/status/statusor.h"

namespace likeness {

// "cpu", "cuda:N", or "auto": the first GPU if there is one. INVALID_ARGUMENT for anything else or
// a GPU that is not there.
absl::StatusOr<c10::Device> ParseDevice(const std::string& text);

// Threads of LibTorch and OpenCV; 0 leaves them as they are.
void SetThreads(int threads);

}  // namespace likeness
