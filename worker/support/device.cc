#include "worker/support/device.h"

#include <ATen/DeviceAccelerator.h>
#include <torch/torch.h>
#include <unistd.h>

#include <fstream>
#include <opencv2/core.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/shorten.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

constexpr size_t kMostNameBytes = 120;

// What the system says of the first processor: "model name", "flags". Empty if it does not.
std::string CpuInformation(absl::string_view key) {
  std::ifstream information("/proc/cpuinfo");
  for (std::string line; std::getline(information, line);) {
    if (!absl::StartsWith(line, key)) continue;
    return std::string(absl::StripAsciiWhitespace(line.substr(line.find(':') + 1)));
  }
  return "";
}

}  // namespace

absl::StatusOr<c10::Device> ParseDevice(const std::string& text) {
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (text == "cpu" || (text == "auto" && gpus == 0)) return c10::Device(c10::kCPU);
  if (text == "auto") return c10::Device(c10::kCUDA, 0);

  absl::string_view number = text;
  int index = -1;
  if (!absl::ConsumePrefix(&number, "cuda:") || !absl::SimpleAtoi(number, &index) || index < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device=", text, ": allowed are auto, cpu and cuda:N"));
  }
  if (index >= gpus) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device=", text, ": this machine has ", gpus, " usable GPUs"));
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

bool ComputesBfloat16(c10::Device device) {
  // GPUs since 2020 do; others compute it more slowly, but right.
  if (!device.is_cpu()) return true;
  const std::string flags = absl::StrCat(" ", CpuInformation("flags"), " ");
  return absl::StrContains(flags, " avx512_bf16 ") || absl::StrContains(flags, " amx_bf16 ");
}

absl::StatusOr<c10::ScalarType> ParseDrawingPrecision(const std::string& text, c10::Device device) {
  if (text == "fp32") return c10::kFloat;
  if (text != "bf16") {
    return absl::InvalidArgumentError(
        absl::StrCat("--generation-precision=", text, ": fp32 and bf16 are allowed"));
  }
  if (ComputesBfloat16(device)) return c10::kBFloat16;
  return absl::InvalidArgumentError(
      "--generation-precision=bf16: this processor has no instructions for bfloat16 (AVX512_BF16 "
      "or AMX); fp32 is allowed");
}

std::string DeviceName(c10::Device device) {
  if (!device.is_cpu()) return device.str();
  const std::string processor = CpuInformation("model name");
  return Shorten(absl::StrCat("cpu ", processor, processor.empty() ? "" : ", ",
                              at::get_num_threads(), " threads"),
                 kMostNameBytes);
}

int64_t DeviceMemory(c10::Device device) {
  if (device.is_cpu()) {
    return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  }
  int64_t bytes = 0;
  (void)Guard([&] {
    at::globalContext().lazyInitDevice(device.type());
    bytes = static_cast<int64_t>(at::accelerator::getMemoryInfo(device.index()).second);
  });
  return bytes;
}

void AllowTf32(bool allowed, c10::Device device) {
  if (device.is_cpu()) return;  // where the same switch would speak of other formats
  at::globalContext().setAllowTF32CuBLAS(allowed);
  at::globalContext().setAllowTF32CuDNN(allowed);
}

InFullPrecision::InFullPrecision(c10::Device device)
    : device_(device), allowed_(!device.is_cpu() && at::globalContext().allowTF32CuBLAS()) {
  AllowTf32(false, device_);
}

InFullPrecision::~InFullPrecision() { AllowTf32(allowed_, device_); }

void SetThreads(int threads) {
  if (threads <= 0) return;
  at::set_num_threads(threads);
  cv::setNumThreads(threads);
}

}  // namespace likeness
