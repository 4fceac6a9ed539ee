#include "benchmarks/device_meter.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>
#include <time.h>

#include <chrono>

namespace likeness {

void Synchronize(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

void ForgetPeak(torch::Device device) {
  if (!device.is_cpu()) c10::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}

int64_t PeakBytes(torch::Device device) {
  if (device.is_cpu()) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss * int64_t{1024};
  }
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.allocated_bytes[0].peak;
}

Lap Stopwatch::Now() const {
  Synchronize(device_);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now().time_since_epoch();
  timespec cpu{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  return {wall.count(), static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec)};
}

Lap Stopwatch::Read() {
  const Lap now = Now();
  const Lap lap{now.wall - last_.wall, now.cpu - last_.cpu};
  last_ = now;
  return lap;
}

}  // namespace likeness
